# As study.py, but short: 400 iterations with a falling learning rate and the plain mean in place of Eq. 5.
_base_ = './study.py'
name = 'bccd_short'
runs = dict(
    few=dict(config='configs/bccd/retinanet_short_supervised.py'),
    sed=dict(config='configs/bccd/retinanet_short_sed.py'),
    all=dict(config='configs/bccd/retinanet_short_all.py'))
