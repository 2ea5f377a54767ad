# mmdet's SoftTeacher in SED's place: what SED is compared with.
_base_ = ['./faster_rcnn_bccd_sed.py', '../_base_/pseudo_labels.py']
model = dict(
    _delete_=True,
    type='SoftTeacher',
    detector=_base_.model.detector,
    data_preprocessor=_base_.model.data_preprocessor,
    semi_train_cfg=_base_.soft_teacher_cfg,
    semi_test_cfg=dict(predict_on='teacher'))
custom_hooks = _base_.short_mean_teacher
