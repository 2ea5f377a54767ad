# SED on VOC: SGD, rate 0.01, 40k iterations (paper, Table 1). The paper gives no milestones; these are at the same
# parts of the run as those of 180k.
_base_ = './sed_180k.py'
max_iters = 40000
train_cfg = dict(max_iters=max_iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(type='MultiStepLR', by_epoch=False, begin=0, end=max_iters, milestones=[26667, 35556], gamma=0.1),
]
