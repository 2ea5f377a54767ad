# COCO with all its labels, in one branch: 8 GPUs x 2 images, shorter sides of 640 to 800.
_base_ = './coco_semi.py'
train_dataloader = dict(
    _delete_=True,
    **{
        **_base_.supervised_dataloader, 'dataset': {
            **_base_.labeled_dataset, 'ann_file': 'annotations/instances_train2017.json',
            'pipeline': _base_.sup_transforms + [_base_.pack]
        }
    })
auto_scale_lr = dict(base_batch_size=16)
