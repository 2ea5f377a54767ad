# Table 3: 35k images of val2014 labelled, train2014 unlabelled, tested on minival. The table gives no schedule; this is
# that of Table 2. `python -m sssd prepare coco35k` makes the annotation files that COCO itself does not have.
_base_ = './faster-rcnn_r50_fpn_sed_180k_coco-10p.py'
val2014 = dict(img='val2014/')
minival = 'annotations/instances_minival2014.json'
labeled_dataset = dict(ann_file='annotations/instances_valminusminival2014.json', data_prefix=val2014)
unlabeled = dict(
    type='sssd.ImageFolder',
    data_root=_base_.data_root,
    data_prefix=dict(img='train2014/'),
    pipeline=_base_.unsup_pipeline)
unlabeled_dataset = dict(_delete_=True, **unlabeled)
train_dataloader = dict(dataset=dict(datasets=[{**_base_.labeled_dataset, **labeled_dataset}, unlabeled]))
supervised_dataloader = dict(dataset=labeled_dataset)
val_dataloader = dict(dataset=dict(ann_file=minival, data_prefix=val2014))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=_base_.data_root + minival)
test_evaluator = val_evaluator
