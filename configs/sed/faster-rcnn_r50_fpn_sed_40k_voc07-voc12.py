# Table 1: VOC07 labelled, VOC12 unlabelled.
_base_ = [
    'mmdet::_base_/models/faster-rcnn_r50_fpn.py', '../_base_/datasets/voc_semi.py', '../_base_/schedules/sed_40k.py',
    '../_base_/sed.py', '../_base_/tta_multiscale.py', '../_base_/default_runtime.py'
]
detector = _base_.model
detector.roi_head.bbox_head.num_classes = len(_base_.classes)
# 32, the coarsest stride that the pyramid upsamples from, times 2**S: the grids of X and of X^ then pair cell by cell.
detector.data_preprocessor.pad_size_divisor = 64
model = dict(
    _delete_=True,
    type='sssd.SED',
    detector=detector,
    data_preprocessor=dict(type='MultiBranchDataPreprocessor', data_preprocessor=detector.data_preprocessor))
