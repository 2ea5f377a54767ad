# The reference of retinanet_short_sed.py: all 292 training images with their labels.
_base_ = './retinanet_short_supervised.py'
train_dataloader = dict(dataset=dict(ann_file=_base_.data_root + 'trainval.json'))
