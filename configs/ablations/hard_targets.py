# Table 4, scale consistency and hard targets, re-weighted: 29.50.
_base_ = '{{$SED_BASE:../sed/faster-rcnn_r50_fpn_sed_180k_coco-10p.py}}'
model = dict(distill_loss=dict(type='SoftLoss', target='hard'))
