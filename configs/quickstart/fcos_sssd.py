_base_ = [
    '../_base_/models/fcos_r18_gn_small.py', '../_base_/datasets/toy_labeled.py', '../_base_/schedules/small.py',
    '../_base_/sssd_from_scratch.py', '../_base_/guided_runtime.py'
]
guide = dict(type='LGD')
model = dict(
    _delete_=True, type='sssd.GuidedDetector', detector=_base_.model, guide=guide, distance=_base_.distance)
