# The reference of toy_sed.py: all labels.
_base_ = ['../quickstart/retinanet_all.py', '../_base_/schedules/fall.py']
param_scheduler = [*_base_.param_scheduler, _base_.fall]
