# As study.py, but short: 400 iterations with a falling learning rate and the plain mean in place of Eq. 5.
_base_ = './study.py'
name = 'bccd_short'
runs = dict(
    few=dict(config='configs/bccd/retinanet_supervised_short.py'),
    sed=dict(config='configs/bccd/retinanet_sed_short.py'),
    all=dict(config='configs/bccd/retinanet_all_short.py'))
