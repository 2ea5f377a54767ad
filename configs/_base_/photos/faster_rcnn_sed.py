# SED on photographs, all but the data.
_base_ = ['../models/faster_rcnn_mobilenet_v2.py', '../schedules/photos.py', './sed.py', '../small_runtime.py']
detector = _base_.model
model = dict(
    _delete_=True,
    type='sssd.SED',
    detector=detector,
    views=[dict(type='DenseView', head='rpn_head'), dict(type='RoIView', max_rows=256)],
    data_preprocessor=dict(type='MultiBranchDataPreprocessor', data_preprocessor=detector.data_preprocessor),
    scale_loss=_base_.unsupervised_loss,
    distill_loss=_base_.unsupervised_loss)
