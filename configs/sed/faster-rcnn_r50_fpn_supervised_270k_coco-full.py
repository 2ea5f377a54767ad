# Table 2, 100 %, 270k: the baseline; the milestones are those of Detectron2's 3x schedule.
_base_ = './faster-rcnn_r50_fpn_supervised_180k_coco-full.py'
max_iters = 270000
train_cfg = dict(max_iters=max_iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(type='MultiStepLR', by_epoch=False, begin=0, end=max_iters, milestones=[210000, 250000], gamma=0.1),
]
