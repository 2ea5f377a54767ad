# What `python -m sssd init` writes for a fifth of Aquarium's labels, with its 4000 iterations. Folds 1 to 3 chose
# nothing of it.
_base_ = './aquarium_faster_rcnn_study.py'
name = 'photos_aquarium_init'
data = dict(percents=[20])
start = None
here = dict(AQUARIUM_LABELED='train.{seed}@20')
as_init_writes = {
    'model.data_preprocessor.data_preprocessor.pad_size_divisor': 64,
    'model.detector.data_preprocessor.pad_size_divisor': 64,
    'param_scheduler.0.end': 200,
    'param_scheduler.1.end': 4000,
    'param_scheduler.1.milestones': [3100],
    'train_cfg.max_iters': 4000,
    'train_cfg.val_interval': 500,
}
runs = dict(
    _delete_=True,
    few=dict(config='configs/photos/faster_rcnn_aquarium_supervised.py', env=here, cfg_options=as_init_writes),
    sed_pseudo=dict(config='configs/photos/faster_rcnn_aquarium_init.py', env=here, cfg_options=as_init_writes),
    all=dict(config='configs/photos/faster_rcnn_aquarium_all.py', env=here, cfg_options=as_init_writes))
del here, as_init_writes
