# Table 5, the baseline: VOC07 alone, with the same moving average.
_base_ = './detr_r50_sed_300e_voc07-voc12.py'
train_dataloader = dict(_delete_=True, **_base_.supervised_dataloader)
auto_scale_lr = dict(base_batch_size=16)
custom_hooks = [
    dict(type='sssd.LambdaScheduleHook', lambda_s=0.0, lambda_d=0.0),
    dict(type='sssd.EMATeacherHook', alpha=_base_.alpha),
]
