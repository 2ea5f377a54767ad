# SED from labelled images whose objects are all small and unlabelled ones with objects of any size; toy_study.py.
_base_ = ['../quickstart/retinanet_sed.py', '../_base_/sizes.py']
root = _base_.sizes_root
train_cfg = _base_.sizes_train_cfg
param_scheduler = _base_.sizes_schedule
model = dict(scale_loss=_base_.sizes_loss, distill_loss=_base_.sizes_loss)
small, others = _base_.train_dataloader.dataset.datasets
small.data_root = root
others.data_root = root
train_dataloader = dict(dataset=dict(datasets=[small, others]))
val_dataloader = dict(dataset=dict(data_root=root))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=root + 'val.json')
test_evaluator = val_evaluator
