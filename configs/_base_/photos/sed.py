# SED on photographs: what docs/results.md says was chosen.
_base_ = '../sed.py'
unsupervised_loss = dict(type='SoftLoss', reweight=dict(type='Mean'), box_rows='foreground', box_weight=0.2)
custom_hooks = [
    dict(type='sssd.LambdaScheduleHook', burn_in=0, lambda_s=1.0, lambda_d=1.0),
    dict(type='sssd.ScaleDrawHook', max_shift=1),
    dict(type='sssd.EMATeacherHook', alpha=dict(type='Constant', value=0.99)),
]
# Labels alone have the moving average, too.
supervised_hooks = [
    dict(type='sssd.LambdaScheduleHook', lambda_s=0.0, lambda_d=0.0),
    custom_hooks[2],
]
