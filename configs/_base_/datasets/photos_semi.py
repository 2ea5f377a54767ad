# Photographs of 320 pixels, a few labelled and the rest not: what aquarium_semi.py and bccd_photos_semi.py share. The
# labelled images have the resize jitter and the strong view as the unlabelled ones have, so that labels alone, with
# `sup_only_pipeline`, are augmented alike.
_base_ = './toy_semi.py'
scale = (320, 320)
# mmdet's pseudo-labels are projected from one view to the other by the matrix, which here is the same for both.
pack = dict(type='sssd.PackDetInputs', meta_keys=(*_base_.meta_keys, 'homography_matrix'))
jitter = (0.7, 1.3)
resize = [
    dict(type='RandomResize', scale=scale, ratio_range=jitter, keep_ratio=True),
    dict(type='sssd.RandomFlip', prob=0.5),
]
strong = [
    dict(type='sssd.ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.05, prob=0.8),
    dict(type='sssd.RandomGrayscale', prob=0.2),
    dict(type='sssd.GaussianBlur', sigma=(0.1, 1.0), prob=0.3),
    pack,
]
labels = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True), *resize,
    dict(type='FilterAnnotations', min_gt_bbox_wh=(1e-2, 1e-2), keep_empty=False),
]
sup_pipeline = labels + [dict(type='MultiBranch', branch_field=_base_.branch_field, sup=strong)]
sup_only_pipeline = labels + [dict(type='MultiBranch', branch_field=['sup'], sup=strong)]
unsup_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadEmptyAnnotations'), *resize,
    dict(type='MultiBranch', branch_field=_base_.branch_field, unsup_teacher=[pack], unsup_student=strong),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
train_dataloader = dict(batch_size=8, sampler=dict(batch_size=8))
