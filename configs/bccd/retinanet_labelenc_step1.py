# LabelEnc, step 1: the heads of an auxiliary detector train the label encoding function; the distance has no weight.
_base_ = './retinanet_sssd.py'
model = dict(
    guide=dict(_delete_=True, type='LabelEnc'),
    distance=dict(_delete_=True, type='FeatureDistance', kind='mse'),
    lambda_=0.0)
custom_hooks = []
