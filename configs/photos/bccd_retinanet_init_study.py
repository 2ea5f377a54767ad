# bccd_init_study.py with RetinaNet. Folds 1 to 3 chose nothing of it.
_base_ = './bccd_init_study.py'
name = 'photos_bccd_retinanet_init'
here = _base_.runs['few'].env
as_init_writes = _base_.runs['few'].cfg_options
runs = dict(
    _delete_=True,
    few=dict(config='configs/photos/retinanet_bccd_supervised.py', env=here, cfg_options=as_init_writes),
    sed_pseudo=dict(config='configs/photos/retinanet_bccd_init.py', env=here, cfg_options=as_init_writes),
    all=dict(config='configs/photos/retinanet_bccd_all.py', env=here, cfg_options=as_init_writes))
del here, as_init_writes
