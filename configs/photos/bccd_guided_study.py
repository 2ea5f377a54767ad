# BCCD with all its labels, RetinaNet from ImageNet features: plain, LGD, SSSD and stepwise SSSD, with the guide as LGD's
# public code has it. All have the same moving average, augmentation and length; the tables report the test part.
name = 'photos_bccd_guided'
seeds = [1, 2, 3]
data = dict(
    type='splits', ann_file='data/bccd/train.json', out_dir='data/bccd_photo_splits', percents=[3], folds=13)
length = {
    'train_cfg.max_iters': 800,
    'train_cfg.val_interval': 200,
    'param_scheduler.1.end': 800,
    'param_scheduler.1.milestones': [550],
}
runs = dict(
    plain=dict(config='configs/photos/retinanet_bccd_all.py', cfg_options=length),
    lgd=dict(config='configs/photos/retinanet_bccd_guided_lgd.py', cfg_options=length),
    sssd=dict(config='configs/photos/retinanet_bccd_guided_sssd.py', cfg_options=length),
    stepwise=dict(config='configs/photos/retinanet_bccd_guided_stepwise.py', cfg_options=length))
test = dict(ann_file='data/bccd/test.json', img_prefix='data/bccd/images/')
quick = {
    'train_cfg.max_iters': 2,
    'train_cfg.val_interval': 2,
    'val_dataloader.dataset.indices': 8,
    'default_hooks.logger.interval': 1,
}
del length
