# Table 1: Faster R-CNN with ResNet-101 alone.
_base_ = './faster-rcnn_r50_baseline.py'
model = dict(backbone=dict(depth=101, init_cfg=dict(checkpoint='torchvision://resnet101')))
