# The baseline: the labelled images alone, augmented as SED's, with the same moving average.
_base_ = './faster_rcnn_bccd_sed.py'
custom_hooks = [
    dict(type='sssd.LambdaScheduleHook', lambda_s=0.0, lambda_d=0.0),
    _base_.custom_hooks[2],
]
train_dataloader = dict(
    batch_size=4,
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    dataset=dict(
        _delete_=True,
        **{**_base_.train_dataloader.dataset.datasets[0], 'pipeline': _base_.sup_only_pipeline}))
auto_scale_lr = dict(base_batch_size=4)
