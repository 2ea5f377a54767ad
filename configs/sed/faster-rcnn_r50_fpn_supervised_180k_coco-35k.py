# Table 3, the baseline: the 35k labelled images alone; its learning rate is that of Table 2's baselines.
_base_ = './faster-rcnn_r50_fpn_sed_180k_coco-35k.py'
train_dataloader = dict(_delete_=True, **_base_.supervised_dataloader)
auto_scale_lr = dict(base_batch_size=16)
custom_hooks = [
    dict(type='sssd.LambdaScheduleHook', lambda_s=0.0, lambda_d=0.0),
    dict(type='sssd.EMATeacherHook', alpha=_base_.alpha),
]
optim_wrapper = dict(optimizer=dict(lr=0.02))
