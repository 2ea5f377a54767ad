# SED whose labelled branch has a label-guided teacher; one hook drives all weights. Nothing was measured with it yet.
_base_ = './retinanet_sed.py'
model = dict(guidance=dict(guide=dict(type='LGD', context=True), distance=dict(type='FeatureDistance', kind='js')))
custom_hooks = [
    dict(
        type='sssd.LambdaScheduleHook',
        lambda_s=4.0,
        lambda_d=4.0,
        lambda_=dict(type='Ramp', begin=100, length=200, after=dict(type='StepAtDecay', start=75.0, end=100.0)),
        student_grad=1.0),
    dict(type='sssd.ScaleDrawHook', max_shift=1),
    dict(type='sssd.EMATeacherHook', alpha=_base_.alpha),
]
