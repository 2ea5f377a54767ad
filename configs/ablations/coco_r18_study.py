# The same for Table 8, whose detector is RetinaNet with ResNet-18.
_base_ = './coco_study.py'
name = 'coco_r18'
runs = dict(
    _delete_=True,
    few={**_base_.runs.few, 'config': 'configs/sed/retinanet_r18_fpn_supervised_180k_coco-10p.py'},
    sed={**_base_.runs.sed, 'config': 'configs/sed/retinanet_r18_fpn_sed_180k_coco-10p.py'})
