# LGD: the mean squared error, lambda 1 throughout.
_base_ = './retinanet_sssd.py'
model = dict(distance=dict(_delete_=True, type='FeatureDistance', kind='mse'))
custom_hooks = [
    dict(type='sssd.LambdaScheduleHook', lambda_=dict(type='Ramp', begin=100, length=200, after=1.0), student_grad=1.0),
]
