# Stepwise SSSD: lambda a third larger once the learning rate has fallen, as 75 and 100.
_base_ = './retinanet_bccd_guided_sssd.py'
custom_hooks = _base_.custom_hooks
custom_hooks[0].lambda_.after = dict(type='StepAtDecay', start=36.0, end=48.0)
