# The embedded data set (`python -m sssd toy`): a few labelled images and many unlabelled ones of 256 x 192.
data_root = 'data/toy/'
classes = ('disc', 'square', 'triangle', 'star', 'cross')
metainfo = dict(classes=classes)
scale = (192, 192)
jitter = (0.8, 1.0)  # as (1333, 640) to (1333, 800) is to (1333, 800)
branch_field = ['sup', 'unsup_teacher', 'unsup_student']
meta_keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction')

sup_transforms = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomResize', scale=scale, ratio_range=jitter, keep_ratio=True),
    dict(type='sssd.RandomFlip', prob=0.5),
    dict(type='FilterAnnotations', min_gt_bbox_wh=(1e-2, 1e-2), keep_empty=False),
]
pack = dict(type='sssd.PackDetInputs', meta_keys=meta_keys)
sup_pipeline = sup_transforms + [dict(type='MultiBranch', branch_field=branch_field, sup=pack)]
# For runs on labels alone, whose batches have one branch.
sup_only_pipeline = sup_transforms + [dict(type='MultiBranch', branch_field=['sup'], sup=pack)]
# Milder than the paper's, on the guess that here colour tells classes apart and small objects vanish under its blur.
strong_pipeline = [
    dict(type='sssd.ColorJitter', brightness=0.4, contrast=0.4, saturation=0.2, hue=0.02, prob=0.8),
    dict(type='sssd.GaussianBlur', sigma=(0.1, 1.0), prob=0.3),
    dict(type='CutOut', n_holes=(1, 5), cutout_ratio=[(0.05, 0.05), (0.1, 0.1), (0.2, 0.2)], fill_in=(104, 116, 124)),
    pack,
]
unsup_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadEmptyAnnotations'),
    dict(type='RandomResize', scale=scale, ratio_range=jitter, keep_ratio=True),
    dict(type='sssd.RandomFlip', prob=0.5),
    dict(
        type='MultiBranch',
        branch_field=branch_field,
        unsup_teacher=[pack],
        unsup_student=strong_pipeline)
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))
]

labeled_dataset = dict(
    type='CocoDataset',
    data_root=data_root,
    metainfo=metainfo,
    ann_file='labeled.json',
    data_prefix=dict(img='images/train/'),
    filter_cfg=dict(filter_empty_gt=True),
    pipeline=sup_pipeline)
unlabeled_dataset = dict(
    type='CocoDataset',
    data_root=data_root,
    metainfo=metainfo,
    ann_file='unlabeled.json',
    data_prefix=dict(img='images/train/'),
    filter_cfg=dict(filter_empty_gt=False),
    pipeline=unsup_pipeline)

train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='sssd.MixedSourceSampler', batch_size=8, source_ratio=[1, 1]),
    dataset=dict(type='ConcatDataset', datasets=[labeled_dataset, unlabeled_dataset]))
auto_scale_lr = dict(enable=False, base_batch_size=8)
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CocoDataset',
        data_root=data_root,
        metainfo=metainfo,
        ann_file='val.json',
        data_prefix=dict(img='images/val/'),
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='sssd.CocoMetric', ann_file=data_root + 'val.json', metric='bbox', format_only=False)
test_evaluator = val_evaluator
