# Table 1, LabelEnc: the label encoding function of step 1, frozen, supervises the features.
_base_ = './fcos_r50_labelenc_step1.py'
step1 = 'work_dirs/fcos_r50_labelenc_step1/iter_180000.pth'
model = dict(
    guide=dict(frozen=True, init_cfg=dict(type='Pretrained', checkpoint=step1, prefix='guidance.guide.')),
    guide_loss=False,
    distance=dict(type='FeatureDistance', kind='mse'),
    lambda_=1.0)
