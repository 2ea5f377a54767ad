# The baseline of toy_sed.py: labels alone.
_base_ = ['../quickstart/retinanet_supervised.py', '../_base_/schedules/fall.py']
param_scheduler = [*_base_.param_scheduler, _base_.fall]
