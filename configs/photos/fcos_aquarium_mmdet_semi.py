# mmdet's SemiBaseDetector in SED's place: what SED is compared with.
_base_ = ['./fcos_aquarium_sed.py', '../_base_/pseudo_labels.py']
model = dict(
    _delete_=True,
    type='SemiBaseDetector',
    detector=_base_.model.detector,
    data_preprocessor=_base_.model.data_preprocessor,
    semi_train_cfg=_base_.semi_train_cfg,
    semi_test_cfg=dict(predict_on='teacher'))
custom_hooks = _base_.short_mean_teacher
