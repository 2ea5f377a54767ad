# Table 10, OHEM: 31.4.
_base_ = '{{$SED_BASE:../sed/faster-rcnn_r50_fpn_sed_180k_coco-10p.py}}'
loss = dict(type='SoftLoss', reweight=dict(type='OHEM'))
model = dict(scale_loss=loss, distill_loss=loss)
