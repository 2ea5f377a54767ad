# Tables 1 and 2: SSSD with ResNet-101.
_base_ = './faster-rcnn_r50_sssd.py'
model = dict(detector=dict(backbone=dict(depth=101, init_cfg=dict(checkpoint='torchvision://resnet101'))))
