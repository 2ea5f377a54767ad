# The small detector of retinanet_r18_gn_small.py over MobileNetV2 with ImageNet features.
_base_ = ['./retinanet_r18_gn_small.py', './mobilenet_v2.py']
model = dict(
    backbone=dict(_delete_=True, **_base_.mobilenet_v2), neck=dict(in_channels=_base_.mobilenet_channels))
