# SED where BCCD_ROOT, BCCD_SPLITS and BCCD_LABELED name a copy of BCCD by other cameras; bccd_study.py sets them.
_base_ = ['../bccd/retinanet_sed.py', '../_base_/short.py']
train_cfg = _base_.short_train_cfg
param_scheduler = _base_.short_schedule
model = dict(scale_loss=_base_.short_loss, distill_loss=_base_.short_loss)
custom_hooks = _base_.short_hooks
