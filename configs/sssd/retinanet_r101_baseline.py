# Table 1: RetinaNet with ResNet-101 alone.
_base_ = './retinanet_r50_baseline.py'
model = dict(backbone=dict(depth=101, init_cfg=dict(checkpoint='torchvision://resnet101')))
