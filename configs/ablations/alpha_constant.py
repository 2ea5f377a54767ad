# Table 9, no policy, 0.95 throughout: 32.0.
_base_ = '{{$SED_BASE:../sed/faster-rcnn_r50_fpn_sed_180k_coco-10p.py}}'
custom_hooks = [*_base_.custom_hooks[:2], dict(_base_.custom_hooks[2], alpha=0.95), *_base_.custom_hooks[3:]]
