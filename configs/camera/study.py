# What unlabelled images are worth under domain shift: a detector was trained on the toy set as one good camera sees it,
# and has 10 labelled and 990 unlabelled images of many poor ones. `python -m sssd demo` runs few, sed and all with one
# seed, `python -m sssd study configs/camera/study.py` everything.
name = 'camera'
seeds = [0, 1, 2]
data = [
    dict(type='toy', root='data/toy', num_train=1000, num_val=200, num_labeled=100, seed=0),
    dict(type='toy', root='data/toy_varied', num_train=1000, num_val=200, num_labeled=10, seed=2, camera='varied'),
]
start = dict(config='configs/camera/retinanet_start.py')
runs = dict(
    few=dict(config='configs/camera/retinanet_supervised.py'),
    few_strong=dict(config='configs/camera/retinanet_supervised_strong.py'),
    sed=dict(config='configs/camera/retinanet_sed.py'),
    all=dict(config='configs/camera/retinanet_all.py'))
# A few iterations and images: tells that everything works, not what it is worth.
quick = {
    'train_cfg.max_iters': 2,
    'train_cfg.val_interval': 2,
    'val_dataloader.dataset.indices': 8,
    'default_hooks.logger.interval': 1,
    'model.detector.test_cfg.score_thr': 0.0,
}
