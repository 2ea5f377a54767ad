# The baseline: labels alone, with the same moving average, and the learning rate of the paper's Faster R-CNN baseline.
_base_ = './faster-rcnn_r50_c4_sed_180k_coco-10p.py'
train_dataloader = dict(_delete_=True, **_base_.supervised_dataloader)
auto_scale_lr = dict(base_batch_size=16)
custom_hooks = [
    dict(type='sssd.LambdaScheduleHook', lambda_s=0.0, lambda_d=0.0),
    dict(type='sssd.EMATeacherHook', alpha=_base_.alpha),
]
optim_wrapper = dict(optimizer=dict(lr=0.02))
