# The reference of bccd_sed.py: all labels of the training part.
_base_ = './bccd_supervised.py'
train_dataloader = dict(dataset=dict(ann_file=_base_.data_root + 'train.json'))
