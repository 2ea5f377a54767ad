# Aquarium with Faster R-CNN, a tenth of the labels. As bccd_faster_rcnn_study.py; all go on from 1000 iterations of
# labels alone.
name = 'photos_aquarium_faster_rcnn'
seeds = [1, 2, 3]
data = dict(
    type='splits', ann_file='data/aquarium/train.json', out_dir='data/aquarium_photo_splits', percents=[10], folds=13)
here = dict(AQUARIUM_LABELED='train.{seed}@10')
length = {
    'train_cfg.max_iters': 1000,
    'train_cfg.val_interval': 250,
    'param_scheduler.1.end': 1000,
    'param_scheduler.1.milestones': [700],
}
start = dict(
    config='configs/photos/faster_rcnn_aquarium_supervised.py',
    env=here,
    cfg_options={'train_cfg.max_iters': 1000, 'train_cfg.val_interval': 500, 'param_scheduler.1.milestones': [1000]})
few = dict(config='configs/photos/faster_rcnn_aquarium_supervised.py', env=here, cfg_options=length)
runs = dict(
    few=few,
    few_longer=dict(few, iterations_times=2.4),
    pseudo=dict(
        config='configs/photos/faster_rcnn_aquarium_softteacher.py',
        env=here,
        cfg_options={
            **length, 'model.semi_train_cfg.cls_pseudo_thr': 0.7,
            'model.semi_train_cfg.unsup_weight': 2.0
        }),
    sed=dict(
        config='configs/photos/faster_rcnn_aquarium_sed.py',
        env=here,
        cfg_options={**length, 'custom_hooks.0.lambda_s': 0.25, 'custom_hooks.0.lambda_d': 1.2}),
    sed_pseudo=dict(
        config='configs/photos/faster_rcnn_aquarium_sed.py',
        env=here,
        cfg_options={
            **length, 'custom_hooks.0.lambda_s': 0.25, 'custom_hooks.0.lambda_d': 1.2, 'custom_hooks.0.lambda_p': 1.0,
            'model.pseudo_labels.score_thr': 0.7
        }),
    all=dict(config='configs/photos/faster_rcnn_aquarium_all.py', env=here, cfg_options=length))
test = dict(ann_file='data/aquarium/test.json', img_prefix='data/aquarium/images/')
quick = {
    'train_cfg.max_iters': 2,
    'train_cfg.val_interval': 2,
    'val_dataloader.dataset.indices': 8,
    'default_hooks.logger.interval': 1,
}
del here, length, few
