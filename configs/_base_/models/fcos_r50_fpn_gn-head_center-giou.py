# FCOS with its later improvements, as mmdet's center-normbbox-centeronreg-giou; P6 and P7 come from C5, as for LGD.
_base_ = './fcos_r50_fpn_gn-head.py'
model = dict(
    neck=dict(add_extra_convs='on_input'),
    bbox_head=dict(
        norm_on_bbox=True,
        centerness_on_reg=True,
        center_sampling=True,
        conv_bias=True,
        loss_bbox=dict(type='GIoULoss')),
    test_cfg=dict(nms=dict(iou_threshold=0.6)))
