# SED's own hooks: the EMA teacher of Eq. 4 (Table 9, "Step"), both lambdas, the draw of s.
alpha = dict(type='StepAtDecay', start=0.99, end=0.9)
custom_hooks = [
    dict(type='sssd.LambdaScheduleHook', burn_in=0, lambda_s=1.0, lambda_d=1.0),
    dict(type='sssd.ScaleDrawHook', max_shift=1),
    dict(type='sssd.EMATeacherHook', alpha=alpha),
]
val_cfg = dict(type='TeacherStudentValLoop')
test_cfg = dict(type='TestLoop')
