# SSSD and LGD on COCO: SED's 180k iterations (milestones 120k and 160k) with clipped gradients; the norm is ours. The
# learning rate is that of RetinaNet and FCOS.
_base_ = './sed_180k.py'
optim_wrapper = dict(clip_grad=dict(max_norm=35, norm_type=2))
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
