# SSSD: the JS distance, lambda 75.
_base_ = ['./faster_rcnn_baseline.py', '../_base_/sssd_from_scratch.py']
model = dict(
    _delete_=True,
    type='sssd.GuidedDetector',
    detector=_base_.model,
    guide=dict(type='LGD', detach=True),
    distance=_base_.distance)
