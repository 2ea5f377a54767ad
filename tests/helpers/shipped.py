"""A tiny SED that was trained and validated, for what is exported of it, and two more kinds of detectors."""

import copy

import tiny

#: Appended to the config of tests/cli/conftest.py: SED, validated as teacher and student after the last iteration.
SED = """
norm = dict(type='GN', num_groups=4, requires_grad=True)
model['backbone'].update(norm_cfg=norm, norm_eval=False, init_cfg=dict(type='Kaiming', layer='Conv2d'))
model['bbox_head']['init_cfg'] = dict(type='Normal', layer='Conv2d', std=0.01)
preprocessor = dict(type='MultiBranchDataPreprocessor', data_preprocessor=model.pop('data_preprocessor'))
model = dict(type='sssd.SED', detector=model, data_preprocessor=preprocessor)
branches = ['sup', 'unsup_teacher', 'unsup_student']
pack = dict(type='PackDetInputs', meta_keys=('img_id', 'img_shape', 'ori_shape'))
labelled = dict(data, pipeline=load + resize + [dict(type='MultiBranch', branch_field=branches, sup=pack)])
unlabelled = dict(data, pipeline=[load[0], dict(type='LoadEmptyAnnotations')] + resize + [
    dict(type='MultiBranch', branch_field=branches, unsup_teacher=[pack], unsup_student=[pack])])
train_dataloader = dict(
    batch_size=4, num_workers=0, sampler=dict(type='sssd.MixedSourceSampler', batch_size=4, source_ratio=[3, 1]),
    dataset=dict(type='ConcatDataset', datasets=[labelled, unlabelled]))
test_dataloader['dataset']['pipeline'] = [
    dict(type='sssd.LoadImage'), *resize, dict(type='PackDetInputs', meta_keys=meta_keys)]
val_dataloader = test_dataloader
test_evaluator = dict(test_evaluator, type="sssd.CocoMetric")
val_evaluator = test_evaluator
val_cfg = dict(type='TeacherStudentValLoop')
custom_hooks = [
    dict(type='sssd.LambdaScheduleHook', burn_in=0, lambda_s=0.1, lambda_d=0.1), dict(type='sssd.ScaleDrawHook'),
    dict(type='sssd.EMATeacherHook', alpha=0.9)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=80, val_interval=40)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.005))
default_hooks['checkpoint'].update(interval=40)
default_hooks['logger'].update(interval=20, log_metric_by_epoch=False)
"""
ITERATIONS = 80


def atss():
    """Config of an ATSS: one anchor a cell, and how central it is."""
    anchors = dict(
        type='AnchorGenerator', octave_base_scale=4, scales_per_octave=1, ratios=[1.0], strides=[8, 16, 32, 64]
    )
    centre = dict(type='CrossEntropyLoss', use_sigmoid=True)
    config = tiny.retinanet(type='ATSSHead', anchor_generator=anchors, loss_centerness=centre)
    config['train_cfg'] = dict(
        assigner=dict(type='ATSSAssigner', topk=9), allowed_border=-1, pos_weight=-1, debug=False
    )
    return dict(config, type='ATSS')


def cascade():
    """Config of a Cascade R-CNN of two stages."""
    config = tiny.faster_rcnn()
    heads = [dict(tiny.box_head(), reg_class_agnostic=True) for _ in range(2)]
    config.roi_head.update(type='CascadeRoIHead', num_stages=2, stage_loss_weights=[1, 0.5], bbox_head=heads)
    config.train_cfg.rcnn = [copy.deepcopy(config.train_cfg.rcnn) for _ in range(2)]
    config['type'] = 'CascadeRCNN'
    return config
