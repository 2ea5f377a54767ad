# The baseline of toy_sed.py: its labels alone.
_base_ = ['../quickstart/retinanet_supervised.py', '../_base_/sizes.py']
root = _base_.sizes_root
train_cfg = _base_.sizes_train_cfg
param_scheduler = _base_.sizes_schedule
train_dataloader = dict(dataset=dict(data_root=root))
val_dataloader = dict(dataset=dict(data_root=root))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=root + 'val.json')
test_evaluator = val_evaluator
