# Faster R-CNN C4, a single feature map: mmdet's own model with 10 % of the labels. The paper has no such row.
_base_ = [
    'mmdet::_base_/models/faster-rcnn_r50-caffe-c4.py', '../_base_/datasets/coco_semi.py',
    '../_base_/schedules/sed_180k.py', '../_base_/sed.py', '../_base_/tta_multiscale.py', '../_base_/default_runtime.py'
]
detector = _base_.model
# Ours: both proposal sets of a pair go through res5 with gradients; mmdet's 2000 of each would not fit most GPUs.
detector.train_cfg.rpn_proposal.max_per_img = 500
model = dict(
    _delete_=True,
    type='sssd.SED',
    detector=detector,
    data_preprocessor=dict(type='MultiBranchDataPreprocessor', data_preprocessor=detector.data_preprocessor))
