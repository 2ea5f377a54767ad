# Tables 3 and 4: SSSD with lambda 50.
_base_ = './faster-rcnn_r50_sssd.py'
custom_hooks = _base_.custom_hooks
custom_hooks[0].lambda_.after = 50.0
