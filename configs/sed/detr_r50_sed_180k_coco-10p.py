# DETR with 10 % of the labels, which the paper does not have: Table 5 trains it on VOC. DETR's own optimizer.
_base_ = [
    '../_base_/models/detr_r50.py', '../_base_/datasets/coco_semi.py', '../_base_/schedules/detr_300e_voc07.py',
    '../_base_/sed.py', '../_base_/tta_multiscale.py', '../_base_/default_runtime.py'
]
max_iters = 180000
train_cfg = dict(max_iters=max_iters)
param_scheduler = [dict(type='MultiStepLR', by_epoch=False, begin=0, end=max_iters, milestones=[120000], gamma=0.1)]
detector = _base_.model
detector.data_preprocessor.pad_size_divisor = 2  # 2**S: queries have no cells that would have to match
model = dict(
    _delete_=True,
    type='sssd.SED',
    detector=detector,
    data_preprocessor=dict(type='MultiBranchDataPreprocessor', data_preprocessor=detector.data_preprocessor))
