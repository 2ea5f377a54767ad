# What `python -m sssd init` writes for a twentieth of BCCD's labels, with its 1500 iterations, on folds and a test part
# with which none of it was chosen.
name = 'photos_bccd_init'
seeds = [1, 2, 3]
data = dict(
    type='splits', ann_file='data/bccd/train.json', out_dir='data/bccd_photo_splits', percents=[5], folds=13)
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
    few=dict(config='configs/photos/faster_rcnn_bccd_supervised.py', env=here, cfg_options=as_init_writes),
    sed_pseudo=dict(config='configs/photos/faster_rcnn_bccd_init.py', env=here, cfg_options=as_init_writes),
    all=dict(config='configs/photos/faster_rcnn_bccd_all.py', env=here, cfg_options=as_init_writes))
test = dict(ann_file='data/bccd/test.json', img_prefix='data/bccd/images/')
quick = {
    'train_cfg.max_iters': 2,
    'train_cfg.val_interval': 2,
    'val_dataloader.dataset.indices': 8,
    'default_hooks.logger.interval': 1,
}
del here, as_init_writes
