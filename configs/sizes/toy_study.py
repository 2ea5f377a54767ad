# Sizes that no label shows: of 1000 images of the embedded data set 150 have labels, none with an object above 0.35
# of the image; the others, and the validation images, show objects of up to 0.75. The demo runs `few` and `sed`;
# those named jitter show their labelled images up to 2.2 times as large.
# Seeds and the short test are those of the quick start's study.
_base_ = '../quickstart/study.py'
name = 'sizes_toy'
data = dict(root='data/toy_small', num_labeled=150, labeled_below=0.35)
# The start's learning rate does not fall.
start = dict(
    config='configs/sizes/toy_supervised.py',
    cfg_options={'param_scheduler.1.end': 400, 'param_scheduler.1.milestones': [400]})
runs = dict(
    few=dict(config='configs/sizes/toy_supervised.py'),
    few_jitter=dict(config='configs/sizes/toy_supervised_jitter.py'),
    sed=dict(config='configs/sizes/toy_sed.py'),
    sed_jitter=dict(config='configs/sizes/toy_sed_jitter.py'),
    all=dict(config='configs/sizes/toy_all.py'),
    all_jitter=dict(config='configs/sizes/toy_all_jitter.py'))
