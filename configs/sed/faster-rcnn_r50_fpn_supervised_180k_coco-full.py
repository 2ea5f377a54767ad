# Table 2, 100 %, 180k: the baseline. Table 3's "Oracle" has the same images and labels.
_base_ = './faster-rcnn_r50_fpn_supervised_180k_coco-10p.py'
train_dataloader = dict(dataset=dict(ann_file='annotations/instances_train2017.json'))
