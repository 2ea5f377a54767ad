# SED whose labelled branch has a label-guided teacher; one hook drives all weights. Nothing was measured with it yet.
_base_ = './retinanet_sed.py'
model = dict(guidance=dict(guide=dict(type='LGD', context=True), distance=dict(type='FeatureDistance', kind='js')))
custom_hooks = _base_.custom_hooks
custom_hooks[0].lambda_ = dict(
    type='Ramp', begin=100, length=200, after=dict(type='StepAtDecay', start=75.0, end=100.0))
custom_hooks[0].student_grad = 1.0
