# The ablations of the SED paper, for `python -m sssd ablate`. A row: its run, its name in the paper, the paper's AP on
# COCO val2017. A run is the config of that name in this folder, over the data set's base (SED_BASE); `sed` is that base
# itself, `few` its baseline and `all` the reference with all labels, from the data set's study.
folder = 'configs/ablations'
data = dict(
    toy='configs/ablations/toy_study.py',
    bccd='configs/ablations/bccd_study.py',
    coco='configs/ablations/coco_study.py')
tables = dict(
    table4=dict(
        title='SED, Table 4: scale consistency (SCR), self-distillation, re-weighting',
        rows=[
            ('few', 'SUP', 23.86),
            ('scr_mean', 'SCR', 26.80),
            ('scr', 'SCR, Reweight', 30.10),
            ('distill_mean', 'Soft', 29.80),
            ('distill', 'Soft, Reweight', 31.40),
            ('hard_targets', 'SCR, Hard, Reweight', 29.50),
            ('sed', 'SCR, Soft, Reweight', 34.00),
        ]),
    table6=dict(
        title='SED, Table 6: scale jitter',
        rows=[
            ('distill', '[640, 800]', 31.4),
            ('distill_wide_jitter', '[300, 1200]', 32.0),
            ('sed', 'Ours [640, 800]', 34.0),
        ]),
    # Tests of each row's training, at these parts of the size that its config tests at and with their ensemble.
    table7=dict(
        title='SED, Table 7: multi-scale testing',
        sizes={'480': 0.6, '800': 1.0, '1200': 1.5},
        rows=[
            ('few', 'SUP 10%', {'480': 22.9, '800': 24.1, '1200': 22.5, 'ensemble': 26.1}),
            ('all', 'SUP 100%', {'480': 33.7, '800': 37.4, '1200': 36.8, 'ensemble': 38.9}),
            ('sed', 'Ours 10%', {'480': 31.5, '800': 34.2, '1200': 33.0, 'ensemble': 34.8}),
        ]),
    table8=dict(
        title='SED, Table 8: maximum down-sampling rate',
        data=dict(coco='configs/ablations/coco_r18_study.py'),
        rows=[
            ('distill', '1 (no scaled view)', 23.0),
            ('sed', '2', 26.1),
            ('rate4', '4', 25.2),
            ('rate8', '8', 23.1),
            ('rate16', '16', 21.1),
        ]),
    table9=dict(
        title='SED, Table 9: alpha of the EMA teacher',
        rows=[
            ('alpha_cosine', 'Cosine, 0.996 to 0.9', 33.0),
            ('sed', 'Step, 0.99 to 0.9', 34.1),
            ('alpha_constant', 'None, 0.95', 32.0),
        ]),
    table10=dict(
        title='SED, Table 10: re-weighting',
        rows=[
            ('reweight_mean', 'Vanilla', 30.1),
            ('reweight_ohem', 'OHEM', 31.4),
            ('reweight_focal', 'Focal', 31.2),
            ('sed', 'Ours', 34.0),
        ]))
