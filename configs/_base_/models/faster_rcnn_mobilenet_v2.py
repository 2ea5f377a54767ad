# The small detector of faster_rcnn_r18_gn_small.py over MobileNetV2 with ImageNet features: strides 8 to 64, anchors from
# 20 pixels on.
_base_ = ['./faster_rcnn_r18_gn_small.py', './mobilenet_v2.py']
model = dict(
    backbone=dict(_delete_=True, **_base_.mobilenet_v2),
    neck=dict(in_channels=_base_.mobilenet_channels),
    rpn_head=dict(anchor_generator=dict(scales=[2.5], strides=[8, 16, 32, 64])),
    roi_head=dict(bbox_roi_extractor=dict(featmap_strides=[8, 16, 32], finest_scale=40)))
