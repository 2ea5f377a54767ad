# Sizes that no label shows: of 1000 images of the embedded data set 150 have labels, none with an object above 0.35
# of the image; the others, and the validation images, show objects of up to 0.75. The demo runs `few` and `sed`.
name = 'sizes_toy'
seeds = [0, 1, 2]
data = dict(
    type='toy', root='data/toy_small', num_train=1000, num_val=200, num_labeled=150, labeled_below=0.35, seed=0)
# The start's learning rate does not fall.
start = dict(
    config='configs/sizes/toy_supervised.py',
    cfg_options={'train_cfg.val_interval': 400, 'param_scheduler.1.milestones': [400]})
runs = dict(
    few=dict(config='configs/sizes/toy_supervised.py'),
    few_jitter=dict(config='configs/sizes/toy_supervised_jitter.py'),
    sed=dict(config='configs/sizes/toy_sed.py'),
    all=dict(config='configs/sizes/toy_all.py'))
# A few iterations and images: tells that everything works, not what it is worth.
quick = {
    'train_cfg.max_iters': 2,
    'train_cfg.val_interval': 2,
    'val_dataloader.dataset.indices': 8,
    'default_hooks.logger.interval': 1,
    'model.detector.test_cfg.score_thr': 0.0,
}
