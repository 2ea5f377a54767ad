# The reference: all training images with their labels.
_base_ = './faster_rcnn_aquarium_supervised.py'
train_dataloader = dict(dataset=dict(ann_file=_base_.data_root + 'train.json'))
