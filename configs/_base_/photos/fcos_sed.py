# SED on photographs, all but the data.
_base_ = ['../models/fcos_mobilenet_v2.py', '../schedules/photos.py', './sed.py', '../small_runtime.py']
detector = _base_.model
model = dict(
    _delete_=True,
    type='sssd.SED',
    detector=detector,
    data_preprocessor=dict(type='MultiBranchDataPreprocessor', data_preprocessor=detector.data_preprocessor),
    scale_loss=_base_.unsupervised_loss,
    distill_loss=_base_.unsupervised_loss)
