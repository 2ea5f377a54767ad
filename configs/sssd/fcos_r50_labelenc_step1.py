# Table 1, LabelEnc: its label encoding function, trained with an auxiliary detector. P6 and P7 come from P5 there.
_base_ = './fcos_r50_baseline.py'
model = dict(
    _delete_=True,
    type='sssd.GuidedDetector',
    detector=dict(_base_.model, neck=dict(_base_.model.neck, add_extra_convs='on_output')),
    guide=dict(type='LabelEnc'),
    lambda_=0.0)
