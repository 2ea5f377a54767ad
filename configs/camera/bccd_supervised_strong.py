# bccd_supervised.py with SED's strong view in place of the weak one: what its augmentation is worth without SED.
_base_ = ['./bccd_supervised.py', '../_base_/strong_colour.py']
strong = dict(type='MultiBranch', branch_field=['sup'], sup=_base_.strong_colour + [_base_.pack])
train_dataloader = dict(dataset=dict(pipeline=_base_.sup_transforms + [strong]))
