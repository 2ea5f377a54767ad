# BCCD: blood cells, 292 training images with their labels in COCO form, 72 test images. Two options, taken from the
# environment so that every path follows: BCCD_ROOT, and BCCD_LABELED for the part that is labelled, named as
# `python -m sssd split` writes it into BCCD_SPLITS.
_base_ = './toy_semi.py'
data_root = '{{$BCCD_ROOT:data/bccd/}}'
split_root = '{{$BCCD_SPLITS:data/bccd_splits/}}'
labeled = '{{$BCCD_LABELED:trainval.1@5}}'
metainfo = dict(classes=('RBC', 'WBC', 'Platelets'))

labeled_dataset = dict(
    data_root='',
    metainfo=metainfo,
    ann_file=split_root + labeled + '.json',
    data_prefix=dict(img=data_root + 'images/'))
unlabeled_dataset = dict(
    data_root='',
    metainfo=metainfo,
    ann_file=split_root + labeled + '-unlabeled.json',
    data_prefix=dict(img=data_root + 'images/'))
train_dataloader = dict(
    dataset=dict(
        datasets=[{**_base_.labeled_dataset, **labeled_dataset}, {**_base_.unlabeled_dataset, **unlabeled_dataset}]))
val_dataloader = dict(
    dataset=dict(data_root=data_root, metainfo=metainfo, ann_file='test.json', data_prefix=dict(img='images/')))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'test.json')
test_evaluator = val_evaluator
