# SED for small detectors that start from random weights on a small data set. It differs from the paper's defaults:
# boxes count by the target's probability of an object, and less; the lambdas are larger.
# benchmarks/results/diary.md has what was tried and what it gave.
_base_ = './sed.py'
unsupervised_loss = dict(type='SoftLoss', box_rows='foreground', box_weight=0.2)
custom_hooks = [
    dict(type='sssd.LambdaScheduleHook', burn_in=0, lambda_s=4.0, lambda_d=4.0),
    dict(type='sssd.ScaleDrawHook', max_shift=1),
    dict(type='sssd.EMATeacherHook', alpha=_base_.alpha),
]
