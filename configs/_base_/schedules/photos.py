# Detectors with ImageNet features on photographs: AdamW, the backbone slower, a rate that falls after two thirds.
max_iters = 600
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=200)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='MultiStepLR', by_epoch=False, begin=0, end=max_iters, milestones=[400], gamma=0.1),
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    paramwise_cfg=dict(custom_keys={'student.backbone': dict(lr_mult=0.2)}, norm_decay_mult=0.0),
    clip_grad=dict(max_norm=10, norm_type=2))
