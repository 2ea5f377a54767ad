# As `python -m sssd init` writes it for BCCD: SED with pseudo-labels beside, its weights found by their gradients after
# a quarter of the iterations. tests/cli/test_init.py holds the two together.
_base_ = './faster_rcnn_bccd_sed.py'
model = dict(pseudo_labels=dict(score_thr=0.7))
custom_hooks = [
    dict(type='sssd.LambdaScheduleHook', burn_in=375, lambda_s=1.0, lambda_d=1.0, lambda_p=1.0),
    *_base_.custom_hooks[1:],
    dict(type='sssd.CalibrateLambdaHook', scale=0.25, distill=0.6),
]
