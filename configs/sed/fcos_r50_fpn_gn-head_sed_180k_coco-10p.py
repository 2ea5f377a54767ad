# FCOS with ResNet-50. The paper has no FCOS; the recipe is that of its RetinaNet, the optimizer's details are mmdet's.
_base_ = [
    '../_base_/models/fcos_r50_fpn_gn-head.py', '../_base_/datasets/coco_semi.py', '../_base_/schedules/sed_180k.py',
    '../_base_/sed.py', '../_base_/tta_multiscale.py', '../_base_/default_runtime.py'
]
detector = _base_.model
# 32, the coarsest stride that the pyramid upsamples from, times 2**S: the grids of X and of X^ then pair cell by cell.
detector.data_preprocessor.pad_size_divisor = 64
model = dict(
    _delete_=True,
    type='sssd.SED',
    detector=detector,
    data_preprocessor=dict(type='MultiBranchDataPreprocessor', data_preprocessor=detector.data_preprocessor))
optim_wrapper = dict(
    paramwise_cfg=dict(bias_lr_mult=2., bias_decay_mult=0.), clip_grad=dict(max_norm=35, norm_type=2))
