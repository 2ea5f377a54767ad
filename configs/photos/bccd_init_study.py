# What `python -m sssd init` writes for a twentieth of BCCD's labels, with its 1500 iterations. Folds 2 and 3 chose
# nothing of it; fold 1's test part had been looked at when pseudo-labels were made those of classes alone.
_base_ = './bccd_faster_rcnn_study.py'
name = 'photos_bccd_init'
data = dict(percents=[5])
start = None
here = dict(BCCD_LABELED='train.{seed}@5')
as_init_writes = {
    'model.data_preprocessor.data_preprocessor.pad_size_divisor': 64,
    'model.detector.data_preprocessor.pad_size_divisor': 64,
    'param_scheduler.0.end': 75,
    'param_scheduler.1.end': 1500,
    'param_scheduler.1.milestones': [1000],
    'train_cfg.max_iters': 1500,
    'train_cfg.val_interval': 500,
}
runs = dict(
    _delete_=True,
    few=dict(config='configs/photos/faster_rcnn_bccd_supervised.py', env=here, cfg_options=as_init_writes),
    sed_pseudo=dict(config='configs/photos/faster_rcnn_bccd_init.py', env=here, cfg_options=as_init_writes),
    all=dict(config='configs/photos/faster_rcnn_bccd_all.py', env=here, cfg_options=as_init_writes))
del here, as_init_writes
