# Faster R-CNN DC5, a single feature map: mmdet's own model with 10 % of the labels. The paper has no such row.
_base_ = [
    'mmdet::_base_/models/faster-rcnn_r50-caffe-dc5.py', '../_base_/datasets/coco_semi.py',
    '../_base_/schedules/sed_180k.py', '../_base_/sed.py', '../_base_/tta_multiscale.py', '../_base_/default_runtime.py'
]
detector = _base_.model
model = dict(
    _delete_=True,
    type='sssd.SED',
    detector=detector,
    data_preprocessor=dict(type='MultiBranchDataPreprocessor', data_preprocessor=detector.data_preprocessor))
