# The reference: all training images with their labels.
_base_ = './retinanet_supervised.py'
train_dataloader = dict(dataset=dict(ann_file='train.json'))
