# Table 1: Faster R-CNN with ResNet-50 alone.
_base_ = [
    'mmdet::_base_/models/faster-rcnn_r50_fpn.py', '../_base_/datasets/coco_labeled.py',
    '../_base_/schedules/sssd_180k.py', '../_base_/default_runtime.py'
]
optim_wrapper = dict(optimizer=dict(lr=0.02))
