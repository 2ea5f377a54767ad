# The detector that bccd_study.py begins with: BCCD's validation part with its labels, as it is, from random weights.
# Tested as the others are, by other cameras.
_base_ = '../bccd/retinanet_all.py'
varied_root = 'data/bccd_varied/'
train_dataloader = dict(dataset=dict(ann_file=_base_.data_root + 'val.json'))
val_dataloader = dict(dataset=dict(data_root=varied_root))
test_dataloader = dict(dataset=dict(data_root=varied_root))
val_evaluator = dict(ann_file=varied_root + 'test.json')
test_evaluator = val_evaluator
train_cfg = dict(max_iters=1000, val_interval=500)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=66),
    dict(type='MultiStepLR', by_epoch=False, begin=0, end=1000, milestones=[666], gamma=0.1),
]
