# Table 4, scale consistency alone (SCR), all rows alike: 26.80.
_base_ = './reweight_mean.py'
custom_hooks = [dict(_base_.custom_hooks[0], lambda_d=0.0), *_base_.custom_hooks[1:]]
