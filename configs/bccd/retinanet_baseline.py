# What LGD and SSSD are compared with: the plain detector, the same labels and schedule.
_base_ = [
    '../_base_/models/retinanet_r18_gn_small.py', '../_base_/datasets/bccd_labeled.py',
    '../_base_/schedules/small_step.py', '../_base_/small_runtime.py'
]
model = dict(bbox_head=dict(num_classes=3))
