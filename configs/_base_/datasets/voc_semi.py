# VOC07 trainval labelled, VOC12 trainval unlabelled, tested on VOC07 test (paper, Table 1). The views are COCO's.
# `python -m sssd prepare voc` checks what is in data_root.
#
# Objects marked as difficult are neither targets of training nor counted by the metrics.
_base_ = './coco_semi.py'
data_root = 'data/VOCdevkit/'
classes = ('aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow', 'diningtable', 'dog',
           'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa', 'train', 'tvmonitor')
metainfo = dict(classes=classes)
voc07 = dict(
    type='VOCDataset', data_root=data_root, metainfo=metainfo, data_prefix=dict(sub_data_root='VOC2007/'))
labeled = dict(
    **voc07,
    ann_file='VOC2007/ImageSets/Main/trainval.txt',
    filter_cfg=dict(filter_empty_gt=True, min_size=32),
    pipeline=_base_.sup_pipeline)
# Its images alone: of those in the folder, the ones that the list names. No annotation is read.
unlabeled = dict(
    type='sssd.ImageFolder',
    data_root=data_root,
    metainfo=metainfo,
    ann_file='VOC2012/ImageSets/Main/trainval.txt',
    data_prefix=dict(img='VOC2012/JPEGImages/'),
    pipeline=_base_.unsup_pipeline)
labeled_dataset = dict(_delete_=True, **labeled)
unlabeled_dataset = dict(_delete_=True, **unlabeled)

# VOCDataset alone knows a year and colours.
train_dataloader = dict(dataset=dict(datasets=[labeled, unlabeled], ignore_keys=['dataset_type', 'palette']))
supervised_dataloader = dict(dataset=dict(_delete_=True, **{**labeled, 'pipeline': _base_.sup_only_pipeline}))
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        **voc07,
        ann_file='VOC2007/ImageSets/Main/test.txt',
        test_mode=True,
        pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
# Both at IoU 0.5. `mAP` is the same as `AP50`, which is rounded to three digits.
val_evaluator = [
    dict(type='VOCMetric', metric='mAP', eval_mode='11points', prefix='voc_11points'),
    dict(type='VOCMetric', metric='mAP', eval_mode='area', prefix='voc_area'),
]
test_evaluator = val_evaluator
