# LGD: the mean squared error, lambda 1 from the start; for the first sixth of the run, LGD's 30k of 180k, it trains the
# adapter alone.
_base_ = './faster_rcnn_sssd.py'
model = dict(distance=dict(kind='mse'))
custom_hooks = _base_.custom_hooks
custom_hooks[0].lambda_ = 1.0
custom_hooks[0].student_grad = dict(type='Ramp', begin=250, after=1.0)
