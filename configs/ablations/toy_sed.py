# What the rows are over with --data toy. The learning rate falls as in the paper, for alpha's Step policy follows it.
_base_ = ['../quickstart/retinanet_sed.py', '../_base_/schedules/fall.py']
param_scheduler = [*_base_.param_scheduler, _base_.fall]
