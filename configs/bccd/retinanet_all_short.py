# The reference of retinanet_sed_short.py: all 292 training images with their labels.
_base_ = './retinanet_supervised_short.py'
train_dataloader = dict(dataset=dict(ann_file=_base_.data_root + 'trainval.json'))
