"""Trainings in which chance decides much: what is appended to the config of tests/cli/conftest.py, by name."""

#: Random views for all; `workers` and `seed` are set by who appends it.
RANDOM = """
flip = [
    dict(type='RandomResize', scale=(64, 64), ratio_range=(0.8, 1.2), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5)]
noise = [dict(type='sssd.ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, prob=0.8)]
norm = dict(type='GN', num_groups=4, requires_grad=True)
model['backbone'].update(norm_cfg=norm, norm_eval=False)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=6)
default_hooks['checkpoint'] = dict(type='CheckpointHook', by_epoch=False, interval=2)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9))
val_cfg = val_dataloader = val_evaluator = None
test_cfg = test_dataloader = test_evaluator = None
experiment_name = __import__('uuid').uuid4().hex  # runs of one second would share a logger
randomness = dict(seed={seed})
pack = dict(type='PackDetInputs', meta_keys=('img_id', 'img_shape', 'ori_shape'))
train_dataloader = dict(
    batch_size=2, num_workers={workers}, sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(data, pipeline=load + flip + noise + [pack]))
"""
TWO_STAGES = """
for key in ('bbox_head', 'train_cfg', 'test_cfg'):
    model.pop(key)
sampler = dict(type='RandomSampler', num=16, pos_fraction=0.5, neg_pos_ub=-1, add_gt_as_proposals=True)
assigner = dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.3, min_pos_iou=0.3, ignore_iof_thr=-1)
proposals = dict(nms_pre=60, max_per_img=12, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0)
model.update(
    type='FasterRCNN',
    rpn_head=dict(
        type='RPNHead', in_channels=16, feat_channels=16,
        anchor_generator=dict(type='AnchorGenerator', scales=[3], ratios=[0.5, 1.0], strides=[8, 16, 32]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True), loss_bbox=dict(type='L1Loss')),
    roi_head=dict(
        type='StandardRoIHead',
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=3, sampling_ratio=0),
            out_channels=16, featmap_strides=[8, 16, 32]),
        bbox_head=dict(
            type='Shared2FCBBoxHead', in_channels=16, fc_out_channels=16, roi_feat_size=3, num_classes=2,
            bbox_coder=dict(type='DeltaXYWHBBoxCoder'), loss_cls=dict(type='CrossEntropyLoss'),
            loss_bbox=dict(type='L1Loss'))),
    train_cfg=dict(
        rpn=dict(
            assigner=assigner, sampler=dict(sampler, add_gt_as_proposals=False), allowed_border=-1, pos_weight=-1,
            debug=False),
        rpn_proposal=proposals,
        rcnn=dict(assigner=assigner, sampler=sampler, pos_weight=-1, debug=False)),
    test_cfg=dict(rpn=proposals, rcnn=dict(score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=10)))
"""
SEMI = """
preprocessor = dict(type='MultiBranchDataPreprocessor', data_preprocessor=model.pop('data_preprocessor'))
model = dict(type='sssd.SED', detector=model, data_preprocessor=preprocessor)
branches = ['sup', 'unsup_teacher', 'unsup_student']
labelled = dict(data, pipeline=load + flip + [dict(type='MultiBranch', branch_field=branches, sup=noise + [pack])])
unlabelled = dict(data, pipeline=[load[0], dict(type='LoadEmptyAnnotations')] + flip + [
    dict(type='MultiBranch', branch_field=branches, unsup_teacher=[pack], unsup_student=noise + [pack])])
train_dataloader = dict(
    batch_size=2, num_workers={workers},
    sampler=dict(type='sssd.MixedSourceSampler', batch_size=2, source_ratio=[1, 1]),
    dataset=dict(type='ConcatDataset', datasets=[labelled, unlabelled]))
custom_hooks = [
    dict(type='sssd.LambdaScheduleHook', burn_in=0, lambda_s=1.0, lambda_d=1.0), dict(type='sssd.ScaleDrawHook'),
    dict(type='sssd.EMATeacherHook', alpha=0.5)]
"""
GUIDED = """
model = dict(
    type='sssd.GuidedDetector', detector=model, guide=dict(type='LGD'),
    distance=dict(type='FeatureDistance', kind='js'))
custom_hooks = [dict(type='sssd.LambdaScheduleHook', student_grad=1.0, lambda_=20.0)]
"""
BOTH = """
model['guidance'] = dict(guide=dict(type='LGD'), distance=dict(type='FeatureDistance', kind='js'))
custom_hooks[0] = dict(
    type='sssd.LambdaScheduleHook', burn_in=0, lambda_s=1.0, lambda_d=1.0, student_grad=1.0, lambda_=20.0)
"""
RUNS = dict(
    sed=RANDOM + SEMI,
    sssd=RANDOM + GUIDED,
    both=RANDOM + SEMI + BOTH,
    faster_rcnn=RANDOM + TWO_STAGES,
    faster_rcnn_sed=RANDOM + TWO_STAGES + SEMI,
)


def extra(name, workers=0, seed=None):
    """What to append for a training by name, with this many workers and this seed (None: the run draws one)."""
    return RUNS[name].replace('{workers}', str(workers)).replace('{seed}', str(seed))
