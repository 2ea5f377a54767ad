# BCCD with all its labels, RetinaNet from ImageNet features: plain, LGD, SSSD and stepwise SSSD, with the guide as LGD's
# public code has it, and all three with boxes by the part of each cell that lies in them (docs/sssd.md). All have the
# same moving average, augmentation and length; the tables report the test part.
_base_ = './bccd_study.py'
name = 'photos_bccd_guided'
start = None
compare = dict(few='plain')
length = _base_.runs['all'].cfg_options
share = {**length, 'model.guidance.guide.cells': 'share'}
runs = dict(
    _delete_=True,
    plain=dict(config='configs/photos/retinanet_bccd_all.py', cfg_options=length),
    sssd_share=dict(config='configs/photos/retinanet_bccd_guided_sssd.py', cfg_options=share),
    lgd_share=dict(config='configs/photos/retinanet_bccd_guided_lgd.py', cfg_options=share),
    stepwise_share=dict(config='configs/photos/retinanet_bccd_guided_stepwise.py', cfg_options=share),
    sssd=dict(config='configs/photos/retinanet_bccd_guided_sssd.py', cfg_options=length),
    lgd=dict(config='configs/photos/retinanet_bccd_guided_lgd.py', cfg_options=length),
    stepwise=dict(config='configs/photos/retinanet_bccd_guided_stepwise.py', cfg_options=length))
del length, share
