# The detector of the pictures in docs/method.md: SED with SSSD's guide on its labelled branch, a RetinaNet on
# MobileNetV2, 10 labelled images of BCCD, 300 iterations. From the repository's root, a few minutes on one core:
#   python -m sssd split data/bccd/train.json --percent 5 --folds 9 --out-dir data/bccd_photo_splits
#   BCCD_LABELED=train.9@5 python -m sssd train docs/draw/bccd.py --work-dir work_dirs/method
#   python docs/draw --checkpoint work_dirs/method/iter_300.pth
_base_ = '../../configs/photos/retinanet_bccd_sed.py'
model = dict(
    guidance=dict(guide=dict(type='LGD', context=True), distance=dict(type='FeatureDistance', kind='js')),
    scale_loss=dict(_delete_=True, type='SoftLoss'),
    distill_loss=dict(_delete_=True, type='SoftLoss'),
)
custom_hooks = [
    dict(type='sssd.LambdaScheduleHook', burn_in=150, lambda_s=0.3, lambda_d=0.3, lambda_=20.0, student_grad=1.0),
    dict(type='sssd.ScaleDrawHook', max_shift=1),
    dict(type='sssd.EMATeacherHook', alpha=dict(type='Constant', value=0.95)),
]
train_cfg = dict(max_iters=300, val_interval=300)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=20),
    dict(type='MultiStepLR', by_epoch=False, begin=0, end=300, milestones=[230], gamma=0.1),
]
default_hooks = dict(logger=dict(interval=25), checkpoint=dict(interval=300))
randomness = dict(seed=0)
