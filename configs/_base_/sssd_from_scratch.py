# Small detectors that start from random weights: there is no pretrained backbone to keep, so nothing is frozen; the
# distance comes in once the guide has learnt a little. Not so in LGD's own configs, which have lambda from the start.
_base_ = './sssd.py'
custom_hooks = [
    dict(
        type='sssd.LambdaScheduleHook',
        lambda_=dict(type='Ramp', begin=100, length=200, after=75.0),
        student_grad=1.0),
]
