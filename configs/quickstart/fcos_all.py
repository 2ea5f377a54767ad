# The reference: all training images with their labels.
_base_ = './fcos_supervised.py'
train_dataloader = dict(dataset=dict(ann_file='train.json'))
