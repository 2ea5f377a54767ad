# As `python -m sssd init` writes it for Aquarium with a fifth of its labels: faster_rcnn_bccd_init.py with labels alone
# until they have converged.
_base_ = './faster_rcnn_aquarium_sed.py'
model = dict(pseudo_labels=dict(score_thr=0.7))
custom_hooks = [
    dict(type='sssd.LambdaScheduleHook', burn_in=1975, lambda_s=1.0, lambda_d=1.0, lambda_p=1.0),
    *_base_.custom_hooks[1:],
    dict(type='sssd.CalibrateLambdaHook', scale=0.25, distill=0.6),
]
