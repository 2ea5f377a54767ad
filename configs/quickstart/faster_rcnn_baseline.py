# What LGD and SSSD are compared with: the plain detector, the same labels and schedule.
_base_ = [
    '../_base_/models/faster_rcnn_r18_gn_small.py', '../_base_/datasets/toy_labeled.py',
    '../_base_/schedules/small_step.py', '../_base_/small_runtime.py'
]
