# Table 2, 100 %, 180k: all of train2017 labelled; the images of unlabeled2017, which need no annotation file.
_base_ = './faster-rcnn_r50_fpn_sed_180k_coco-10p.py'
labeled = {**_base_.labeled_dataset, 'ann_file': 'annotations/instances_train2017.json'}
unlabeled = dict(
    type='sssd.ImageFolder',
    data_root=_base_.data_root,
    data_prefix=dict(img='unlabeled2017/'),
    pipeline=_base_.unsup_pipeline)
train_dataloader = dict(dataset=dict(datasets=[labeled, unlabeled]))
