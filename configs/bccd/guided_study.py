# BCCD, all 292 training images: LGD, SSSD and stepwise SSSD against the plain detector.
_base_ = '../quickstart/guided_study.py'
name = 'bccd_guided'
data = None
runs = dict(
    baseline=dict(config='configs/bccd/retinanet_baseline.py'),
    lgd=dict(config='configs/bccd/retinanet_lgd.py'),
    sssd=dict(config='configs/bccd/retinanet_sssd.py'),
    sssd_stepwise=dict(config='configs/bccd/retinanet_sssd_stepwise.py'))
