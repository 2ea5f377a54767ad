# As small.py, with a fall of the learning rate after two thirds: what stepwise lambdas follow, and the runs that they
# are compared with.
_base_ = './small.py'
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=100),
    dict(type='MultiStepLR', by_epoch=False, begin=0, end=_base_.max_iters, milestones=[1000], gamma=0.1),
]
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
