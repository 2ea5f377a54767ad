# Table 5 and Table 8: RetinaNet with ResNet-18, 10 % of the labels.
_base_ = './retinanet_r50_fpn_sed_180k_coco-10p.py'
model = dict(
    detector=dict(
        backbone=dict(depth=18, init_cfg=dict(checkpoint='torchvision://resnet18')),
        neck=dict(in_channels=[64, 128, 256, 512])))
