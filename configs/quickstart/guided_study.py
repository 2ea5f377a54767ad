# LGD, SSSD and stepwise SSSD against the plain detector: all labels, the same iterations, one schedule.
name = 'quickstart_guided'
seeds = [0, 1, 2]
data = dict(type='toy', root='data/toy', num_train=1000, num_val=200, num_labeled=100, seed=0)
runs = dict(
    baseline=dict(config='configs/quickstart/retinanet_baseline.py', quick={'model.test_cfg.score_thr': 0.0}),
    lgd=dict(config='configs/quickstart/retinanet_lgd.py', quick={'model.detector.test_cfg.score_thr': 0.0}),
    sssd=dict(config='configs/quickstart/retinanet_sssd.py', quick={'model.detector.test_cfg.score_thr': 0.0}),
    sssd_stepwise=dict(
        config='configs/quickstart/retinanet_sssd_stepwise.py', quick={'model.detector.test_cfg.score_thr': 0.0}))
# A few iterations and images: tells that everything works, not what it is worth.
quick = {
    'train_cfg.max_iters': 2,
    'train_cfg.val_interval': 2,
    'val_dataloader.dataset.indices': 8,
    'default_hooks.logger.interval': 1,
}
