# Short trainings that go on from a start, with a learning rate that falls after two thirds. So short, the plain mean
# teaches more than Eq. 5, and under domain shift self-distillation more than scale consistency
# (benchmarks/results/diary.md). Names of their own, for configs that take from here what they need.
short_train_cfg = dict(max_iters=800, val_interval=400)
short_schedule = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=53),
    dict(type='MultiStepLR', by_epoch=False, begin=0, end=800, milestones=[533], gamma=0.1),
]
short_loss = dict(type='SoftLoss', reweight=dict(type='Mean'), box_rows='foreground', box_weight=0.6)
short_hooks = [
    dict(type='sssd.LambdaScheduleHook', burn_in=0, lambda_s=1.0, lambda_d=8.0),
    dict(type='sssd.ScaleDrawHook', max_shift=1),
    dict(type='sssd.EMATeacherHook', alpha=dict(type='StepAtDecay', start=0.99, end=0.9)),
]
