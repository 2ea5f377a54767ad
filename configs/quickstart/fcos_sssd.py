# SSSD: the JS distance, lambda 75.
_base_ = ['./fcos_baseline.py', '../_base_/sssd_from_scratch.py']
model = dict(
    _delete_=True,
    type='sssd.GuidedDetector',
    detector=_base_.model,
    guide=dict(type='LGD'),
    distance=_base_.distance)
