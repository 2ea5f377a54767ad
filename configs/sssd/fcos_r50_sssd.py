# Tables 1 and 2: SSSD with lambda 75.
_base_ = ['./fcos_r50_baseline.py', '../_base_/sssd.py']
model = dict(
    _delete_=True,
    type='sssd.GuidedDetector',
    detector=_base_.model,
    guide=dict(type='LGD'),
    distance=_base_.distance)
