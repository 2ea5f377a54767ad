# bccd_study.py with Faster R-CNN, whose softmax is surer of itself. At lambda 1 its losses pull 4 to 10 times as hard as
# RetinaNet's (gradient ratios of 1.1 to 2.9 for Eq. 2, 0.5 to 1.1 for Eq. 3; benchmarks/results/pilot_photos.json), so
# both lambdas are smaller: ratios of 0.1 to 0.35 and 0.25 to 0.75. All go on from 600 iterations of labels alone.
name = 'photos_bccd_faster_rcnn'
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
    config='configs/photos/faster_rcnn_bccd_supervised.py',
    env=here,
    cfg_options={'train_cfg.max_iters': 600, 'train_cfg.val_interval': 600, 'param_scheduler.1.milestones': [600]})
few = dict(config='configs/photos/faster_rcnn_bccd_supervised.py', env=here, cfg_options=length)
runs = dict(
    few=few,
    few_longer=dict(few, iterations_times=2.4),
    pseudo=dict(
        config='configs/photos/faster_rcnn_bccd_softteacher.py',
        env=here,
        cfg_options={
            **length, 'model.semi_train_cfg.cls_pseudo_thr': 0.7,
            'model.semi_train_cfg.unsup_weight': 2.0
        }),
    sed=dict(
        config='configs/photos/faster_rcnn_bccd_sed.py',
        env=here,
        cfg_options={**length, 'custom_hooks.0.lambda_s': 0.25, 'custom_hooks.0.lambda_d': 1.2}),
    sed_pseudo=dict(
        config='configs/photos/faster_rcnn_bccd_sed.py',
        env=here,
        cfg_options={
            **length, 'custom_hooks.0.lambda_s': 0.25, 'custom_hooks.0.lambda_d': 1.2, 'custom_hooks.0.lambda_p': 1.0,
            'model.pseudo_labels.score_thr': 0.7
        }),
    all=dict(config='configs/photos/faster_rcnn_bccd_all.py', env=here, cfg_options=length))
test = dict(ann_file='data/bccd/test.json', img_prefix='data/bccd/images/')
quick = {
    'train_cfg.max_iters': 2,
    'train_cfg.val_interval': 2,
    'val_dataloader.dataset.indices': 8,
    'default_hooks.logger.interval': 1,
}
del here, length, few
