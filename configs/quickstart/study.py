# The quick start's comparison: 100 labelled images with and without 900 unlabelled ones, from one supervised start.
# `python -m sssd study configs/quickstart/study.py` runs it all.
name = 'quickstart'
seeds = [0, 1, 2]
data = dict(type='toy', root='data/toy', num_train=1000, num_val=200, num_labeled=100, seed=0)
start = dict(
    config='configs/quickstart/retinanet_supervised.py',
    cfg_options={'train_cfg.max_iters': 400, 'train_cfg.val_interval': 400})
runs = dict(
    few=dict(config='configs/quickstart/retinanet_supervised.py'),
    sed=dict(config='configs/quickstart/retinanet_sed.py'),
    all=dict(config='configs/quickstart/retinanet_all.py'))
# A few iterations and images: tells that everything works, not what it is worth.
quick = {
    'train_cfg.max_iters': 2,
    'train_cfg.val_interval': 2,
    'val_dataloader.dataset.indices': 8,
    'default_hooks.logger.interval': 1,
    'model.detector.test_cfg.score_thr': 0.0,
}
