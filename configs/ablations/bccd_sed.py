# What the rows are over with --data bccd. The learning rate falls as in the paper, for alpha's Step policy follows it.
_base_ = ['../bccd/retinanet_sed.py', '../_base_/schedules/fall.py']
param_scheduler = [*_base_.param_scheduler, _base_.fall]
