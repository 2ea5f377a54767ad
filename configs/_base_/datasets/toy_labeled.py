# The embedded data set with all labels of its training images, in one branch.
_base_ = './toy_semi.py'
train_dataloader = dict(
    batch_size=8,
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    dataset=dict(
        _delete_=True,
        **{
            **_base_.labeled_dataset, 'ann_file': 'train.json',
            'pipeline': _base_.sup_transforms + [_base_.pack]
        }))
