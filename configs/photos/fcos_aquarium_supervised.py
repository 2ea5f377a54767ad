# The baseline: the labelled images alone, augmented as SED's, with the same moving average.
_base_ = './fcos_aquarium_sed.py'
custom_hooks = _base_.supervised_hooks
train_dataloader = dict(_delete_=True, **_base_.supervised_dataloader)
auto_scale_lr = dict(base_batch_size=4)
