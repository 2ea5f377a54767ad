# Table 4, soft self-distillation alone, re-weighted: 31.40. Also Table 6, [640, 800], and Table 8, rate 1: no X^.
_base_ = '{{$SED_BASE:../sed/faster-rcnn_r50_fpn_sed_180k_coco-10p.py}}'
custom_hooks = [dict(_base_.custom_hooks[0], lambda_s=0.0), *_base_.custom_hooks[1:]]
