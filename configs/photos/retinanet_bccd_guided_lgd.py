# LGD: the mean squared error, lambda 1 from the start; up to a sixth of the run it trains the adapter alone.
_base_ = './retinanet_bccd_guided_sssd.py'
model = dict(guidance=dict(distance=dict(kind='mse')))
custom_hooks = _base_.custom_hooks
custom_hooks[0].lambda_ = 1.0
