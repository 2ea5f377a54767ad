# SSSD's hooks with the paper's numbers: the backbone frozen and the distance off until 20k, its gradient kept from the
# student until 30k (LGD), lambda 75 and, from the first fall of the learning rate on, 100 (Fig. 3).
freeze_until, detach_until = 20000, 30000
lambda_before, lambda_after = 75.0, 100.0
distance = dict(type='FeatureDistance', kind='js')
custom_hooks = [
    dict(
        type='sssd.LambdaScheduleHook',
        lambda_=dict(
            type='Ramp', begin=freeze_until, after=dict(type='StepAtDecay', start=lambda_before, end=lambda_after)),
        student_grad=dict(type='Ramp', begin=detach_until, after=1.0)),
    dict(type='sssd.FreezeBackboneHook', until=freeze_until),
]
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
