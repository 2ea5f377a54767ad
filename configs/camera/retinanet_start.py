# The detector that the others begin with: all labels of the plain toy set, from random weights.
_base_ = '../quickstart/retinanet_all.py'
train_cfg = dict(max_iters=1200, val_interval=400)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=100),
    dict(type='MultiStepLR', by_epoch=False, begin=0, end=1200, milestones=[800], gamma=0.1),
]
