# DETR on VOC07: 300 epochs (paper, Table 5) of its 5011 labelled images, 16 an iteration. The rest is DETR's: AdamW,
# a tenth of the rate for the backbone, clipped gradients, one fall after two thirds, no warm-up.
max_iters = 94000
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=10000)
param_scheduler = [dict(type='MultiStepLR', by_epoch=False, begin=0, end=max_iters, milestones=[62600], gamma=0.1)]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=0.0001, weight_decay=0.0001),
    clip_grad=dict(max_norm=0.1, norm_type=2),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1, decay_mult=1.0)}))
