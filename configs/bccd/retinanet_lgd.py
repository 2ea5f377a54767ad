# LGD: the mean squared error, lambda 1.
_base_ = './retinanet_sssd.py'
model = dict(distance=dict(kind='mse'))
custom_hooks = _base_.custom_hooks
custom_hooks[0].lambda_.after = 1.0
