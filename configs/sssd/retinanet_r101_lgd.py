# Tables 1 and 2: LGD with ResNet-101.
_base_ = './retinanet_r50_lgd.py'
model = dict(detector=dict(backbone=dict(depth=101, init_cfg=dict(checkpoint='torchvision://resnet101'))))
