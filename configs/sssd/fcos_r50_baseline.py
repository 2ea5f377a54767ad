# Table 1: FCOS with ResNet-50 alone.
_base_ = [
    '../_base_/models/fcos_r50_fpn_gn-head_center-giou.py', '../_base_/datasets/coco_labeled.py',
    '../_base_/schedules/sssd_180k.py', '../_base_/default_runtime.py'
]
