# `python -m sssd ablate TABLE --data bccd`: data, folds and supervised start of BCCD's study.
_base_ = '../bccd/study.py'
name = 'bccd'
runs = dict(
    few=dict(config='configs/ablations/bccd_supervised.py'),
    sed=dict(config='configs/ablations/bccd_sed.py'),
    all=dict(config='configs/ablations/bccd_all.py'))
