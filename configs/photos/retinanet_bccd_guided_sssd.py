# SSSD on all labels of BCCD: the plain detector of retinanet_bccd_all.py with a label-guided teacher, the JS distance.
# The published shares of the run: nothing but the guide learns for the first ninth (20k of 180k), the distance trains
# the adapter alone up to a sixth (30k). At 64 channels the JS distance pulls twice as hard, so half of lambda 75.
_base_ = './retinanet_bccd_all.py'
model = dict(guidance=dict(guide=dict(type='LGD', context=True), distance=dict(type='FeatureDistance', kind='js')))
custom_hooks = [*_base_.custom_hooks, dict(type='sssd.FreezeBackboneHook', until=90)]
custom_hooks[0].lambda_ = dict(type='Ramp', begin=90, after=36.0)
custom_hooks[0].student_grad = dict(type='Ramp', begin=135, after=1.0)
