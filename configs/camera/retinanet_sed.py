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
# Half as long as short.py, for the demo.
train_cfg = dict(max_iters=200, val_interval=100)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=13),
    dict(type='MultiStepLR', by_epoch=False, begin=0, end=200, milestones=[133], gamma=0.1),
]
model = dict(scale_loss=_base_.short_loss, distill_loss=_base_.short_loss)
custom_hooks = _base_.short_hooks
