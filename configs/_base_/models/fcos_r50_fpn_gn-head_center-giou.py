# FCOS with its later improvements, as mmdet's center-normbbox-centeronreg-giou and as in LabelEnc's configs.
_base_ = './fcos_r50_fpn_gn-head.py'
model = dict(
    bbox_head=dict(
        norm_on_bbox=True,
        centerness_on_reg=True,
        center_sampling=True,
        conv_bias=True,
        loss_bbox=dict(type='GIoULoss')),
    test_cfg=dict(nms=dict(iou_threshold=0.6)))
