# Table 1, LabelEnc: its label encoding function, trained with an auxiliary detector.
_base_ = './fcos_r50_baseline.py'
model = dict(
    _delete_=True,
    type='sssd.GuidedDetector',
    detector=_base_.model,
    guide=dict(type='LabelEnc'),
    lambda_=0.0)
