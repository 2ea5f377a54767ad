# Table 4, scale consistency alone (SCR), re-weighted: 30.10.
_base_ = '{{$SED_BASE:../sed/faster-rcnn_r50_fpn_sed_180k_coco-10p.py}}'
custom_hooks = [dict(_base_.custom_hooks[0], lambda_d=0.0), *_base_.custom_hooks[1:]]
