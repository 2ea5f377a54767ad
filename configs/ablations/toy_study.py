# `python -m sssd ablate TABLE --data toy`: data, seeds and supervised start of the quick start's study.
_base_ = '../quickstart/study.py'
name = 'toy'
runs = dict(
    few=dict(config='configs/ablations/toy_supervised.py'),
    sed=dict(config='configs/ablations/toy_sed.py'),
    all=dict(config='configs/ablations/toy_all.py'))
quick = {'test_dataloader.dataset.indices': 8}
