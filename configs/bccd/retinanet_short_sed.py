# SED for 400 iterations from a start on the same labelled images (short_study.py).
_base_ = ['./retinanet_sed.py', '../_base_/short.py']
train_cfg = _base_.short_train_cfg
param_scheduler = _base_.short_schedule
model = dict(scale_loss=_base_.short_loss, distill_loss=_base_.short_loss)
custom_hooks = _base_.short_hooks
