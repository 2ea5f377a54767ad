# Shows that DETR trains; in minutes it does not learn enough to tell what SED is worth to it.
_base_ = [
    '../_base_/models/detr_r18_gn_small.py', '../_base_/datasets/toy_semi.py', '../_base_/schedules/small.py',
    '../_base_/sed_from_scratch.py', '../_base_/small_runtime.py'
]
detector = _base_.model
model = dict(
    _delete_=True,
    type='sssd.SED',
    detector=detector,
    data_preprocessor=dict(type='MultiBranchDataPreprocessor', data_preprocessor=detector.data_preprocessor),
    scale_loss=_base_.unsupervised_loss,
    distill_loss=_base_.unsupervised_loss)
optim_wrapper = dict(optimizer=dict(lr=3e-4), clip_grad=dict(max_norm=0.1))
