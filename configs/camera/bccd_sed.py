# SED where BCCD_ROOT, BCCD_SPLITS and BCCD_LABELED name a copy of BCCD by other cameras; bccd_study.py sets them. Its
# labelled images have the strong view too, as in mmdet's semi-supervised configs and as in bccd_supervised_strong.py.
_base_ = ['../bccd/retinanet_sed.py', '../_base_/short.py', '../_base_/strong_colour.py']
train_cfg = _base_.short_train_cfg
param_scheduler = _base_.short_schedule
model = dict(scale_loss=_base_.short_loss, distill_loss=_base_.short_loss)
custom_hooks = _base_.short_hooks
few, others = _base_.train_dataloader.dataset.datasets
view = _base_.strong_colour + [_base_.pack]
few.pipeline = _base_.sup_transforms + [dict(type='MultiBranch', branch_field=_base_.branch_field, sup=view)]
others.pipeline = _base_.unsup_pipeline[:-1] + [
    dict(type='MultiBranch', branch_field=_base_.branch_field, unsup_teacher=[_base_.pack], unsup_student=view)
]
train_dataloader = dict(dataset=dict(datasets=[few, others]))
