# LabelEnc, step 2: the function of step 1, frozen, teaches the features of a new detector. Run step 1 first.
_base_ = './retinanet_labelenc_step1.py'
step1 = 'work_dirs/retinanet_labelenc_step1/iter_1500.pth'
encoder = dict(type='Pretrained', checkpoint=step1, prefix='guidance.guide.')
model = dict(guide=dict(frozen=True, init_cfg=encoder), guide_loss=False, lambda_=1.0)
