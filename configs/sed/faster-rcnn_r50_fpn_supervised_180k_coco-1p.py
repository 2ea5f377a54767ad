# 1 %: the baseline.
_base_ = './faster-rcnn_r50_fpn_supervised_180k_coco-10p.py'
percent = 1
train_dataloader = dict(dataset=dict(ann_file=f'annotations/instances_train2017.{_base_.fold}@{percent}.json'))
