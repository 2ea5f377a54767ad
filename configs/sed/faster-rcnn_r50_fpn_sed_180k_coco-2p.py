# 2 %, of which the paper has no result.
_base_ = './faster-rcnn_r50_fpn_sed_180k_coco-10p.py'
percent = 2
split = f'annotations/instances_train2017.{_base_.fold}@{percent}'
labeled_dataset = {**_base_.labeled_dataset, 'ann_file': split + '.json'}
unlabeled_dataset = {**_base_.unlabeled_dataset, 'ann_file': split + '-unlabeled.json'}
train_dataloader = dict(dataset=dict(datasets=[labeled_dataset, unlabeled_dataset]))
