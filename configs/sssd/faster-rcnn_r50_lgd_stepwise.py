# Fig. 3: stepwise LGD. The text has no values for it; these are the best of Table 4 and the next larger one.
_base_ = './faster-rcnn_r50_lgd.py'
custom_hooks = _base_.custom_hooks
custom_hooks[0].lambda_ = dict(type='StepAtDecay', start=1.0, end=1.5)
