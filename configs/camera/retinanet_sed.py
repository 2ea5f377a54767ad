# A detector that knows the classes meets other cameras: 10 labelled images and 990 unlabelled ones of the toy set under
# the varied camera. study.py has the detector that it begins with.
_base_ = ['../quickstart/retinanet_sed.py', '../_base_/short.py']
data_root = 'data/toy_varied/'
varied = dict(data_root=data_root)
labeled_dataset = {**_base_.labeled_dataset, **varied}
unlabeled_dataset = {**_base_.unlabeled_dataset, **varied}
train_dataloader = dict(dataset=dict(datasets=[labeled_dataset, unlabeled_dataset]))
val_dataloader = dict(dataset=varied)
test_dataloader = dict(dataset=varied)
val_evaluator = dict(ann_file=data_root + 'val.json')
test_evaluator = val_evaluator
train_cfg = _base_.short_train_cfg
param_scheduler = _base_.short_schedule
model = dict(scale_loss=_base_.short_loss, distill_loss=_base_.short_loss)
custom_hooks = _base_.short_hooks
