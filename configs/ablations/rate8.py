# Table 8, down-sampling rate 8: 23.1. s is 1 to 3, and batches are padded so that they can be halved as often.
_base_ = '{{$SED_BASE:../sed/retinanet_r18_fpn_sed_180k_coco-10p.py}}'
custom_hooks = [_base_.custom_hooks[0], dict(_base_.custom_hooks[1], max_shift=3), *_base_.custom_hooks[2:]]
multiple = 4 * _base_.model.data_preprocessor.data_preprocessor.pad_size_divisor
model = dict(data_preprocessor=dict(data_preprocessor=dict(pad_size_divisor=multiple)))
