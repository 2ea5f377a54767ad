"""Tiny real mmdet detectors, batches of random images, and a Runner over batches in memory."""

import uuid
from operator import itemgetter

import torch
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.hub import get_config
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from torch.utils.data import DataLoader

from sssd.registry import MODELS

MMLogger.get_instance('tiny', log_level='ERROR')  # or mmengine lists every weight that it initialises

CLASSES = 3
GN = dict(type='GN', num_groups=4, requires_grad=True)
FOCAL = dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0)
DELTAS = dict(type='DeltaXYWHBBoxCoder', target_means=[0.0] * 4, target_stds=[1.0] * 4)
MAX_IOU = dict(
    type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0.2, match_low_quality=True, ignore_iof_thr=-1
)
PREPROCESSOR = dict(
    type='mmdet.MultiBranchDataPreprocessor',
    data_preprocessor=dict(type='mmdet.DetDataPreprocessor', mean=[127.0] * 3, std=[60.0] * 3, pad_size_divisor=32),
)


def backbone(out_indices):
    """A ResNet-18 of a quarter of the usual width."""
    return dict(
        type='ResNet',
        depth=18,
        stem_channels=16,
        base_channels=16,
        num_stages=4,
        out_indices=out_indices,
        frozen_stages=-1,
        norm_cfg=GN,
        norm_eval=False,
        style='pytorch',
    )


def neck(in_channels, num_outs):
    """A pyramid of 32 channels."""
    return dict(type='FPN', in_channels=in_channels, out_channels=32, num_outs=num_outs, norm_cfg=GN)


def retina_head(**changes):
    """Strides 8 to 64, one anchor shape in two sizes."""
    return {
        **dict(
            type='RetinaHead',
            num_classes=CLASSES,
            in_channels=32,
            stacked_convs=1,
            feat_channels=16,
            norm_cfg=GN,
            anchor_generator=dict(
                type='AnchorGenerator', octave_base_scale=2, scales_per_octave=2, ratios=[1.0], strides=[8, 16, 32, 64]
            ),
            bbox_coder=DELTAS,
            loss_cls=FOCAL,
            loss_bbox=dict(type='L1Loss', loss_weight=1.0),
        ),
        **changes,
    }


def fcos_head(**changes):
    """Strides 8 to 64; distances in units of the stride unless told otherwise."""
    return {
        **dict(
            type='FCOSHead',
            num_classes=CLASSES,
            in_channels=32,
            stacked_convs=1,
            feat_channels=16,
            norm_cfg=GN,
            strides=[8, 16, 32, 64],
            regress_ranges=((-1, 16), (16, 32), (32, 64), (64, 1e8)),
            norm_on_bbox=True,
            centerness_on_reg=True,
            center_sampling=True,
            loss_cls=FOCAL,
            loss_bbox=dict(type='GIoULoss'),
        ),
        **changes,
    }


def retinanet(**head):
    """Config of a RetinaNet; ``head`` changes its head."""
    return dict(
        type='RetinaNet',
        backbone=backbone((1, 2, 3)),
        neck=neck([32, 64, 128], 4),
        bbox_head=retina_head(**head),
        train_cfg=dict(
            assigner=MAX_IOU, sampler=dict(type='PseudoSampler'), allowed_border=-1, pos_weight=-1, debug=False
        ),
        test_cfg=dict(nms_pre=100, score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=20),
    )


def fcos(**head):
    """Config of an FCOS; ``head`` changes its head."""
    return dict(
        type='FCOS',
        backbone=backbone((1, 2, 3)),
        neck=neck([32, 64, 128], 4),
        bbox_head=fcos_head(**head),
        test_cfg=dict(nms_pre=100, score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=20),
    )


def rpn_head():
    """Strides 4 to 64, three anchors a cell."""
    return dict(
        type='RPNHead',
        in_channels=32,
        feat_channels=32,
        anchor_generator=dict(type='AnchorGenerator', scales=[4], ratios=[0.5, 1.0, 2.0], strides=[4, 8, 16, 32, 64]),
        bbox_coder=DELTAS,
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True),
        loss_bbox=dict(type='L1Loss'),
    )


def box_head():
    """Two small layers, boxes for every class."""
    return dict(
        type='Shared2FCBBoxHead',
        in_channels=32,
        fc_out_channels=32,
        roi_feat_size=3,
        num_classes=CLASSES,
        bbox_coder=DELTAS,
        reg_class_agnostic=False,
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False),
        loss_bbox=dict(type='L1Loss'),
    )


def roi_head(**changes):
    """The second stage of Faster R-CNN."""
    extractor = dict(
        type='SingleRoIExtractor',
        roi_layer=dict(type='RoIAlign', output_size=3, sampling_ratio=1),
        out_channels=32,
        featmap_strides=[4, 8, 16, 32],
        finest_scale=16,
    )
    return {**dict(type='StandardRoIHead', bbox_roi_extractor=extractor, bbox_head=box_head()), **changes}


def sampler(number, fraction, add_gt):
    """mmdet's random sampler."""
    return dict(type='RandomSampler', num=number, pos_fraction=fraction, neg_pos_ub=-1, add_gt_as_proposals=add_gt)


def faster_rcnn(**changes):
    """Config of a Faster R-CNN that keeps at most 12 proposals an image."""
    proposals = dict(nms_pre=50, max_per_img=12, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0)
    return ConfigDict(
        {
            **dict(
                type='FasterRCNN',
                backbone=backbone((0, 1, 2, 3)),
                neck=neck([16, 32, 64, 128], 5),
                rpn_head=rpn_head(),
                roi_head=roi_head(),
                train_cfg=dict(
                    rpn=dict(
                        assigner=MAX_IOU, sampler=sampler(32, 0.5, False), allowed_border=-1, pos_weight=-1, debug=False
                    ),
                    rpn_proposal=proposals,
                    rcnn=dict(assigner=MAX_IOU, sampler=sampler(16, 0.25, True), pos_weight=-1, debug=False),
                ),
                test_cfg=dict(
                    rpn=dict(proposals, max_per_img=5),
                    rcnn=dict(score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=10),
                ),
            ),
            **changes,
        }
    )


DETECTORS = dict(retinanet=retinanet, fcos=fcos, faster_rcnn=faster_rcnn)


def single_map(strides=(1, 2, 2, 2), dilations=(1, 1, 1, 1), second=None):
    """Config of a Faster R-CNN whose RPN and second stage share the last map of the backbone, no pyramid."""
    channels, stride = 16 * 2 ** (len(strides) - 1), 4
    for step in strides:
        stride *= step
    body = dict(backbone((len(strides) - 1,)), num_stages=len(strides), strides=strides, dilations=dilations)
    rpn = rpn_head()
    rpn.update(
        in_channels=channels,
        anchor_generator=dict(type='AnchorGenerator', scales=[1, 2, 4], ratios=[0.5, 1.0, 2.0], strides=[stride]),
    )
    extractor = dict(
        type='SingleRoIExtractor',
        roi_layer=dict(type='RoIAlign', output_size=3, sampling_ratio=1),
        out_channels=channels,
        featmap_strides=[stride],
    )
    return faster_rcnn(
        backbone=body,
        neck=None,
        rpn_head=rpn,
        roi_head=roi_head(
            bbox_roi_extractor=extractor, **(second or dict(bbox_head=dict(box_head(), in_channels=channels)))
        ),
    )


def c4():
    """Config of a Faster R-CNN C4: three stages, the next one is the second stage's shared head."""
    head = dict(box_head(), type='BBoxHead', with_avg_pool=True, roi_feat_size=2, in_channels=128)
    head.pop('fc_out_channels')
    return single_map(
        (1, 2, 2),
        (1, 1, 1),
        dict(
            bbox_head=head, shared_head=dict(type='ResLayer', depth=18, stage=1, stride=2, style='pytorch', norm_cfg=GN)
        ),
    )


def dc5():
    """Config of a Faster R-CNN DC5: the last stage is dilated and keeps stride 16."""
    return single_map((1, 2, 2, 1), (1, 1, 1, 2))


def attention(**changes):
    """A multi-head attention of 32 channels without dropout."""
    return {**dict(embed_dims=32, num_heads=4, dropout=0.0, batch_first=True), **changes}


def detr(dropout=0.0, **changes):
    """Config of a DETR over stride 16: two layers each way, eight queries."""
    layer = dict(
        self_attn_cfg=attention(dropout=dropout),
        ffn_cfg=dict(
            embed_dims=32, feedforward_channels=32, num_fcs=2, ffn_drop=dropout, act_cfg=dict(type='ReLU', inplace=True)
        ),
    )
    cost = dict(
        type='HungarianAssigner',
        match_costs=[
            dict(type='ClassificationCost', weight=1.0),
            dict(type='BBoxL1Cost', weight=5.0, box_format='xywh'),
            dict(type='IoUCost', iou_mode='giou', weight=2.0),
        ],
    )
    return {
        **dict(
            type='DETR',
            num_queries=8,
            backbone=dict(backbone((2,)), num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1)),
            neck=dict(type='ChannelMapper', in_channels=[64], kernel_size=1, out_channels=32, act_cfg=None, num_outs=1),
            encoder=dict(num_layers=2, layer_cfg=layer),
            decoder=dict(
                num_layers=2, layer_cfg=dict(layer, cross_attn_cfg=attention(dropout=dropout)), return_intermediate=True
            ),
            positional_encoding=dict(num_feats=16, normalize=True),
            bbox_head=dict(
                type='DETRHead',
                num_classes=CLASSES,
                embed_dims=32,
                sync_cls_avg_factor=True,
                loss_cls=dict(type='CrossEntropyLoss', bg_cls_weight=0.1, use_sigmoid=False, class_weight=1.0),
                loss_bbox=dict(type='L1Loss', loss_weight=5.0),
                loss_iou=dict(type='GIoULoss', loss_weight=2.0),
            ),
            train_cfg=dict(assigner=cost),
            test_cfg=dict(max_per_img=8),
        ),
        **changes,
    }


def yolof():
    """Config of mmdet's one-stage detector on one map of stride 32, narrower; anchors are twice as large each time."""
    config = get_config('mmdet::yolof/yolof_r50-c5_8xb8-1x_coco.py').model.to_dict()
    config.pop('data_preprocessor')
    config.update(backbone=backbone((3,)))
    config['neck'].update(in_channels=128, out_channels=32, block_mid_channels=16)
    config['bbox_head'].update(num_classes=CLASSES, in_channels=32)
    return config


#: Detectors without a pyramid: their rows pair otherwise, and label-guided teachers do not take them.
OTHERS = dict(detr=detr, c4=c4, dc5=dc5)


def sed_config(detector, **options):
    """Config of an SED over a detector's config."""
    return dict(dict(type='sssd.SED', detector=ConfigDict(detector), data_preprocessor=PREPROCESSOR), **options)


def build_sed(detector, seed=0, **options):
    """A built and initialised SED in training mode; the same weights for the same seed."""
    torch.manual_seed(seed)
    model = MODELS.build(sed_config(detector, **options))
    model.init_weights()
    return model.train()


def keep_all_scores(detector):
    """Have it report whatever it finds: untrained, it is sure of nothing."""
    second = getattr(detector, 'roi_head', None)
    (detector.bbox_head if second is None else second).test_cfg.score_thr = 0.0


def sample(size, boxes=(), labels=None):
    """A data sample of an image of ``size`` (h, w) with boxes (x1, y1, x2, y2)."""
    data = DetDataSample(metainfo=dict(img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0), img_id=0))
    labels = labels or [index % CLASSES for index in range(len(boxes))]
    data.gt_instances = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float).reshape(-1, 4), labels=torch.tensor(labels, dtype=torch.long)
    )
    return data


BOXES = (((8, 8, 40, 40), (30, 20, 90, 60), (60, 4, 76, 20)), ((16, 12, 60, 50),))


def make_batch(boxes=BOXES, unlabelled=2, size=(64, 96), seed=0, strong_noise=30, branches=True):
    """A collated batch: one labelled image for each entry of ``boxes`` and ``unlabelled`` others, as 8-bit pixels.

    The strong view is the weak one plus noise; ``branches=False`` leaves the unlabelled images out.
    """
    rng = torch.Generator().manual_seed(seed)

    def pixels():
        coarse = torch.randint(0, 226, (1, 3, 8, 12), generator=rng).float()
        return torch.nn.functional.interpolate(coarse, size, mode='bilinear')[0].round().to(torch.uint8)

    inputs = dict(sup=[pixels() for _ in boxes])
    samples = dict(sup=[sample(size, image) for image in boxes])
    if branches:
        inputs['unsup_teacher'] = [pixels() for _ in range(unlabelled)]
        noise = torch.randint(0, strong_noise + 1, (unlabelled, 3, *size), generator=rng)
        inputs['unsup_student'] = [(weak + more).to(torch.uint8) for weak, more in zip(inputs['unsup_teacher'], noise)]
        for name in ('unsup_teacher', 'unsup_student'):
            samples[name] = [sample(size) for _ in range(unlabelled)]
    return dict(inputs=inputs, data_samples=samples)


def part_of_batch(batch, rank, world_size):
    """The contiguous part of every branch that one rank takes."""

    def part(images):
        count = len(images) // world_size
        return images[rank * count : (rank + 1) * count]

    return {key: {name: part(images) for name, images in branches.items()} for key, branches in batch.items()}


def losses_of(model, batch):
    """The loss dict of one batch, through the data preprocessor."""
    return model(**model.data_preprocessor(batch, True), mode='loss')


def sgd(model, lr=0.05):
    """MMEngine's wrapper over SGD for the parameters that train."""
    return OptimWrapper(torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=lr))


def state_of(module):
    """A copy of a module's state."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def make_runner(model, data, work_dir, iterations, hooks=(), accumulate=1, lr=0.05, precision=None, **options):
    """A Runner on the CPU; ``data`` is a list of batches, or a dataloader's config; ``precision`` is of the wrapper."""
    loader = data if isinstance(data, dict) else DataLoader(data, batch_size=1, collate_fn=itemgetter(0))
    default_hooks = {**dict(logger=None, checkpoint=None), **options.pop('default_hooks', {})}
    return Runner(
        model=model,
        work_dir=str(work_dir),
        train_dataloader=loader,
        custom_hooks=list(hooks),
        train_cfg=options.pop('train_cfg', dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=10**6)),
        optim_wrapper=dict(
            dict(optimizer=dict(type='SGD', lr=lr, momentum=0.9), accumulative_counts=accumulate), **(precision or {})
        ),
        default_hooks=default_hooks,
        default_scope='mmdet',
        log_level='ERROR',
        randomness=dict(seed=3),
        experiment_name=uuid.uuid4().hex,
        **options,
    )
