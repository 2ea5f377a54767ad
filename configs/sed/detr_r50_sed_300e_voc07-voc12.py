# Table 5: DETR with ResNet-50, VOC07 labelled, VOC12 unlabelled, 300 epochs of VOC07.
_base_ = [
    '../_base_/models/detr_r50.py', '../_base_/datasets/voc_semi.py', '../_base_/schedules/detr_300e_voc07.py',
    '../_base_/sed.py', '../_base_/tta_multiscale.py', '../_base_/default_runtime.py'
]
detector = _base_.model
detector.bbox_head.num_classes = len(_base_.classes)
detector.data_preprocessor.pad_size_divisor = 2  # 2**S: queries have no cells that would have to match
model = dict(
    _delete_=True,
    type='sssd.SED',
    detector=detector,
    data_preprocessor=dict(type='MultiBranchDataPreprocessor', data_preprocessor=detector.data_preprocessor))
