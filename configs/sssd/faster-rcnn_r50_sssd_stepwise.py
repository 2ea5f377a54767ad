# Fig. 3: stepwise SSSD. The text has no values for it; these are the best of Table 4 and the next larger one.
_base_ = './faster-rcnn_r50_sssd.py'
custom_hooks = _base_.custom_hooks
custom_hooks[0].lambda_.after = dict(type='StepAtDecay', start=75.0, end=100.0)
