# Tables 3 and 4: LGD with lambda 2.
_base_ = './faster-rcnn_r50_lgd.py'
custom_hooks = _base_.custom_hooks
custom_hooks[0].lambda_ = 2.0
