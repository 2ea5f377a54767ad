# `python -m sssd ablate TABLE --data coco`: a seed is also a fold. No supervised start: the paper trains in one stage.
# It is one process, so the learning rate is scaled to its batch; the iterations are not, see docs/reproduction.md.
name = 'coco'
seeds = [1]
data = dict(
    type='splits',
    ann_file='data/coco/annotations/instances_train2017.json',
    out_dir='data/coco/annotations',
    percents=[10],
    folds=5)
runs = dict(
    few=dict(
        config='configs/sed/faster-rcnn_r50_fpn_supervised_180k_coco-10p.py',
        cfg_options={'auto_scale_lr.enable': True},
        env={'FOLD': '{seed}'}),
    sed=dict(
        config='configs/sed/faster-rcnn_r50_fpn_sed_180k_coco-10p.py',
        cfg_options={'auto_scale_lr.enable': True},
        env={'FOLD': '{seed}'}),
    all=dict(
        config='configs/sed/faster-rcnn_r50_fpn_supervised_180k_coco-full.py',
        cfg_options={'auto_scale_lr.enable': True},
        env={'FOLD': '1'}))
