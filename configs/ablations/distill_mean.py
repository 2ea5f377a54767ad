# Table 4, soft self-distillation alone, all rows alike: 29.80.
_base_ = './reweight_mean.py'
custom_hooks = [dict(_base_.custom_hooks[0], lambda_s=0.0), *_base_.custom_hooks[1:]]
