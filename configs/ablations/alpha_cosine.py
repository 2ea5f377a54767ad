# Table 9, Cosine from 0.996 to 0.9: 33.0.
_base_ = '{{$SED_BASE:../sed/faster-rcnn_r50_fpn_sed_180k_coco-10p.py}}'
cosine = dict(type='Cosine', start=0.996, end=0.9)
custom_hooks = [*_base_.custom_hooks[:2], dict(_base_.custom_hooks[2], alpha=cosine), *_base_.custom_hooks[3:]]
