# BCCD, 5 % of the labels (15 images) against SED with the other 277, against all labels. A seed is also the fold.
name = 'bccd_retinanet_5p'
seeds = [1, 2, 3]
data = dict(type='splits', ann_file='data/bccd/trainval.json', out_dir='data/bccd_splits', percents=[5], folds=5)
start = dict(
    config='configs/bccd/retinanet_supervised.py',
    cfg_options={
        'train_dataloader.dataset.ann_file': 'data/bccd_splits/trainval.{seed}@5.json',
        'train_cfg.max_iters': 300,
        'train_cfg.val_interval': 300
    })
runs = dict(
    few=dict(
        config='configs/bccd/retinanet_supervised.py',
        cfg_options={'train_dataloader.dataset.ann_file': 'data/bccd_splits/trainval.{seed}@5.json'}),
    sed=dict(
        config='configs/bccd/retinanet_sed.py',
        cfg_options={
            'train_dataloader.dataset.datasets.0.ann_file': 'data/bccd_splits/trainval.{seed}@5.json',
            'train_dataloader.dataset.datasets.1.ann_file': 'data/bccd_splits/trainval.{seed}@5-unlabeled.json'
        }),
    all=dict(config='configs/bccd/retinanet_all.py'))
