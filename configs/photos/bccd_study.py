# BCCD from ImageNet features, RetinaNet: labels alone (with SED's augmentation), the same for as many seconds as SED
# takes, mmdet's pseudo-labels, SED, all labels. A seed is also the fold. All go on from 400 iterations of labels alone,
# when these have nearly converged. Settings were chosen on fold 11 and the validation part; the tables report the test
# part, once.
name = 'photos_bccd'
seeds = [1, 2, 3]
data = dict(
    type='splits', ann_file='data/bccd/train.json', out_dir='data/bccd_photo_splits', percents=[3], folds=13)
here = dict(BCCD_LABELED='train.{seed}@3')
length = {
    'train_cfg.max_iters': 800,
    'train_cfg.val_interval': 200,
    'param_scheduler.1.end': 800,
    'param_scheduler.1.milestones': [550],
}
start = dict(
    config='configs/photos/retinanet_bccd_supervised.py',
    env=here,
    cfg_options={'train_cfg.max_iters': 400, 'train_cfg.val_interval': 400})
few = dict(config='configs/photos/retinanet_bccd_supervised.py', env=here, cfg_options=length)
runs = dict(
    few=few,
    few_longer=dict(few, iterations_times=2.4),
    pseudo=dict(
        config='configs/photos/retinanet_bccd_mmdet_semi.py',
        env=here,
        cfg_options={
            **length, 'model.semi_train_cfg.cls_pseudo_thr': 0.5,
            'model.semi_train_cfg.unsup_weight': 2.0
        }),
    sed=dict(
        config='configs/photos/retinanet_bccd_sed.py',
        env=here,
        cfg_options={**length, 'custom_hooks.0.lambda_d': 10.0}),
    all=dict(config='configs/photos/retinanet_bccd_all.py', env=here, cfg_options=length))
test = dict(ann_file='data/bccd/test.json', img_prefix='data/bccd/images/')
quick = {
    'train_cfg.max_iters': 2,
    'train_cfg.val_interval': 2,
    'val_dataloader.dataset.indices': 8,
    'default_hooks.logger.interval': 1,
}
del here, length, few
