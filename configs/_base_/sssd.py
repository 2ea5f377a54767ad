# SSSD's hooks with the paper's numbers: the backbone frozen and the distance off until 20k, its gradient kept from the
# student until 30k (LGD), lambda 75. LGD's own configs have lambda from the start.
freeze_until, detach_until = 20000, 30000
distance = dict(type='FeatureDistance', kind='js')
custom_hooks = [
    dict(
        type='sssd.LambdaScheduleHook',
        lambda_=dict(type='Ramp', begin=freeze_until, after=75.0),
        student_grad=dict(type='Ramp', begin=detach_until, after=1.0)),
    dict(type='sssd.FreezeBackboneHook', until=freeze_until),
]
