# Tables 1 and 2: LGD, the mean squared error with lambda 1 from the start: until 30k it trains the adapter alone.
_base_ = './retinanet_r50_sssd.py'
model = dict(distance=dict(kind='mse'))
custom_hooks = _base_.custom_hooks
custom_hooks[0].lambda_ = 1.0
