# COCO with a part of its labels: weak and strong views of SED (paper, Sec. 4, "Implementation Details").
#
# The splits come from `python -m sssd split data/coco/annotations/instances_train2017.json --percent 5 10`.
# The fold is an option of the environment, as the file names below follow from it: FOLD=3 python tools/train.py ...
data_root = 'data/coco/'
fold = '{{$FOLD:1}}'
percent = 10
branch_field = ['sup', 'unsup_teacher', 'unsup_student']
meta_keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction')
pack = dict(type='sssd.PackDetInputs', meta_keys=meta_keys)

# Drawn before the branches part, so that weak and strong view share resize and flip.
weak_geometry = [
    dict(type='RandomResize', scale=[(1333, 640), (1333, 800)], keep_ratio=True),
    dict(type='sssd.RandomFlip', prob=0.5),
]
# The paper names these four and leaves their strengths to an appendix; the strengths are ours.
strong_pipeline = [
    dict(type='sssd.ColorJitter', prob=0.8),
    dict(type='sssd.RandomGrayscale', prob=0.2),
    dict(type='sssd.GaussianBlur', prob=0.5),
    dict(type='CutOut', n_holes=(1, 5), cutout_ratio=[(0.05, 0.05), (0.1, 0.1), (0.2, 0.2)], fill_in=(104, 116, 124)),
    pack,
]
sup_transforms = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    *weak_geometry,
    dict(type='FilterAnnotations', min_gt_bbox_wh=(1e-2, 1e-2), keep_empty=False),
]
sup_pipeline = [*sup_transforms, dict(type='MultiBranch', branch_field=branch_field, sup=pack)]
# For runs on labels alone, whose batches have one branch.
sup_only_pipeline = [*sup_transforms, dict(type='MultiBranch', branch_field=['sup'], sup=pack)]
unsup_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadEmptyAnnotations'),
    *weak_geometry,
    dict(type='MultiBranch', branch_field=branch_field, unsup_teacher=[pack], unsup_student=strong_pipeline),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(1333, 800), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))
]

split = f'annotations/instances_train2017.{fold}@{percent}'
labeled_dataset = dict(
    type='CocoDataset',
    data_root=data_root,
    ann_file=split + '.json',
    data_prefix=dict(img='train2017/'),
    filter_cfg=dict(filter_empty_gt=True, min_size=32),
    pipeline=sup_pipeline)
unlabeled_dataset = dict(
    type='CocoDataset',
    data_root=data_root,
    ann_file=split + '-unlabeled.json',
    data_prefix=dict(img='train2017/'),
    filter_cfg=dict(filter_empty_gt=False),
    pipeline=unsup_pipeline)

# The paper gives no batch size. 8 GPUs x (2 labelled + 2 unlabelled): 16 labelled images, as in Detectron2's schedules.
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='sssd.MixedSourceSampler', batch_size=4, source_ratio=[1, 1]),
    dataset=dict(type='ConcatDataset', datasets=[labeled_dataset, unlabeled_dataset]))
auto_scale_lr = dict(enable=False, base_batch_size=32)
# What the supervised twins train on: 8 GPUs x 2 labelled images.
supervised_dataloader = dict(
    batch_size=2,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    batch_sampler=dict(type='AspectRatioBatchSampler'),
    dataset={**labeled_dataset, 'pipeline': sup_only_pipeline})

val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CocoDataset',
        data_root=data_root,
        ann_file='annotations/instances_val2017.json',
        data_prefix=dict(img='val2017/'),
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='sssd.CocoMetric', ann_file=data_root + 'annotations/instances_val2017.json', metric='bbox', format_only=False)
test_evaluator = val_evaluator
