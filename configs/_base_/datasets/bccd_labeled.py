# BCCD with all 292 training images and their labels, in one branch. The option BCCD_ROOT is that of bccd_semi.py.
_base_ = './bccd_semi.py'
train_dataloader = dict(
    batch_size=8,
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    dataset=dict(
        _delete_=True,
        **{
            **_base_.labeled_dataset, 'ann_file': _base_.data_root + 'trainval.json',
            'pipeline': _base_.sup_transforms + [_base_.pack]
        }))
