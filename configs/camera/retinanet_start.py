# The detector that the others begin with: all labels of the plain toy set, from random weights. Tested as the others
# are, by other cameras.
_base_ = '../quickstart/retinanet_all.py'
varied = dict(data_root='data/toy_varied/')
val_dataloader = dict(dataset=varied)
test_dataloader = dict(dataset=varied)
val_evaluator = dict(ann_file='data/toy_varied/val.json')
test_evaluator = val_evaluator
train_cfg = dict(max_iters=500, val_interval=250)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=33),
    dict(type='MultiStepLR', by_epoch=False, begin=0, end=500, milestones=[333], gamma=0.1),
]
