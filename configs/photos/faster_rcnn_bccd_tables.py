# What the rows of the paper's tables are over in bccd_tables_study.py: Eq. 5, the average of Eq. 4 in its steps. Each
# row's weights are found by its own gradients, so that a row with larger ones does not win or lose by that alone.
_base_ = './faster_rcnn_bccd_sed.py'
model = dict(
    scale_loss=dict(reweight=dict(_delete_=True, type='Histogram')),
    distill_loss=dict(reweight=dict(_delete_=True, type='Histogram')))
custom_hooks = [
    dict(type='sssd.LambdaScheduleHook', burn_in=0, lambda_s=1.0, lambda_d=1.0),
    dict(type='sssd.ScaleDrawHook', max_shift=1),
    dict(type='sssd.EMATeacherHook', alpha=dict(type='StepAtDecay', start=0.99, end=0.9)),
    dict(type='sssd.CalibrateLambdaHook', scale=0.25, distill=0.6),
]
