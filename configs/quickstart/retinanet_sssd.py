# SSSD: the JS distance, lambda 75.
_base_ = ['./retinanet_baseline.py', '../_base_/sssd_from_scratch.py']
model = dict(
    _delete_=True,
    type='sssd.GuidedDetector',
    detector=_base_.model,
    guide=dict(type='LGD', context=True),
    distance=_base_.distance)
