# As `python -m sssd init --detector retinanet` writes it for BCCD: faster_rcnn_bccd_init.py with the pseudo-labels of
# RetinaNet, whose scores rise by what they teach: the least one is found while it trains; their boxes teach until the
# rate falls. tests/cli/test_init.py holds the two together.
_base_ = './retinanet_bccd_sed.py'
model = dict(pseudo_labels=dict(score_thr=(0.4, 0.95), found=0.8, sizes=[0.75, 1.33]))
custom_hooks = [
    dict(
        type='sssd.LambdaScheduleHook',
        burn_in=375,
        lambda_s=1.0,
        lambda_d=1.0,
        lambda_p=1.0,
        pseudo_box_weight=dict(type='StepAtDecay', start=1.0, end=0.0),
    ),
    *_base_.custom_hooks[1:],
    dict(type='sssd.CalibrateLambdaHook', scale=0.25, distill=0.6),
]
