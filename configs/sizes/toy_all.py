# The reference of toy_sed.py: all training images with their labels.
_base_ = './toy_supervised.py'
train_dataloader = dict(dataset=dict(ann_file='train.json'))
