# Domain shift: a detector trained on BCCD's validation part (87 images with labels) meets its training part by other
# cameras (`python -m sssd recapture`), 25 images with labels and 180 without. A seed is also the fold.
name = 'camera_bccd'
seeds = [1, 2, 3]
varied = dict(type='recapture', img_dir='data/bccd/images', out_dir='data/bccd_varied', camera='varied', seed=0)
data = [
    dict(varied, ann_file='data/bccd/train.json'),
    dict(varied, ann_file='data/bccd/test.json'),
    dict(
        type='splits',
        ann_file='data/bccd_varied/train.json',
        out_dir='data/bccd_varied_splits',
        percents=[12],
        folds=5),
]
start = dict(config='configs/camera/bccd_start.py')
here = dict(
    BCCD_ROOT='data/bccd_varied/', BCCD_SPLITS='data/bccd_varied_splits/', BCCD_LABELED='train.{seed}@12')
runs = dict(
    few=dict(config='configs/camera/bccd_supervised.py', env=here),
    few_strong=dict(config='configs/camera/bccd_supervised_strong.py', env=here),
    sed_weak=dict(config='configs/camera/bccd_sed_weak.py', env=here),
    sed=dict(config='configs/camera/bccd_sed.py', env=here),
    all=dict(config='configs/camera/bccd_all.py', env=here))
del varied, here
