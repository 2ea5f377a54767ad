# The baseline of bccd_sed.py: labels alone.
_base_ = ['../bccd/retinanet_supervised.py', '../_base_/short.py']
train_cfg = _base_.short_train_cfg
param_scheduler = _base_.short_schedule
