# retinanet_supervised.py with SED's strong view in place of the weak one: what its augmentation is worth without SED.
_base_ = './retinanet_supervised.py'
strong = dict(type='MultiBranch', branch_field=['sup'], sup=_base_.strong_pipeline)
train_dataloader = dict(dataset=dict(pipeline=_base_.sup_transforms + [strong]))
