# Stepwise SSSD: lambda 75, and 100 once the learning rate has fallen.
_base_ = './fcos_sssd.py'
custom_hooks = _base_.custom_hooks
custom_hooks[0].lambda_.after = dict(type='StepAtDecay', start=75.0, end=100.0)
