# Labels that show small objects alone: `python -m sssd toy data/toy_small --num-labeled 150 --labeled-below 0.35`.
# Short trainings that go on from a start, with a learning rate that falls after two thirds; so short, the plain mean
# teaches more than Eq. 5 (benchmarks/results/diary.md). Names of their own, for configs that take from here what they
# need.
sizes_root = 'data/toy_small/'
sizes_train_cfg = dict(max_iters=500, val_interval=250)
sizes_schedule = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=33),
    dict(type='MultiStepLR', by_epoch=False, begin=0, end=500, milestones=[333], gamma=0.1),
]
sizes_loss = dict(type='SoftLoss', reweight=dict(type='Mean'), box_rows='foreground', box_weight=0.2)
