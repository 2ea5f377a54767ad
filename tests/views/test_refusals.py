"""What cannot be paired is refused when the model is built, with a sentence that names its type."""

import copy

import pytest
import tiny
from mmdet.registry import MODELS as MMDET_MODELS
from mmengine.hub import get_config

from sssd.errors import UserError
from sssd.registry import MODELS
from sssd.views import build_views

STRIDES = [8, 16, 32, 64]


def refuse(config, words):
    with pytest.raises(UserError, match=words) as caught:
        MODELS.build(dict(type='sssd.SED', detector=config, data_preprocessor=tiny.PREPROCESSOR))
    assert str(caught.value).endswith('.')


def with_head(head, **changes):
    """A single-stage detector with another head."""
    return {**tiny.retinanet(), 'type': 'SingleStageDetector', 'bbox_head': head, **changes}


def test_a_cascade():
    config = tiny.faster_rcnn()
    head = config['roi_head']
    config.update(
        type='CascadeRCNN',
        roi_head=dict(
            head,
            type='CascadeRoIHead',
            num_stages=2,
            stage_loss_weights=[1, 0.5],
            bbox_head=[copy.deepcopy(head['bbox_head']) for _ in range(2)],
        ),
    )
    config['train_cfg'] = dict(config['train_cfg'], rcnn=[config['train_cfg']['rcnn']] * 2)
    refuse(config, 'CascadeRoIHead is no StandardRoIHead')


SABL = get_config('mmdet::sabl/sabl-faster-rcnn_r50_fpn_1x_coco.py').model.roi_head.bbox_head


@pytest.mark.parametrize(
    'second, head',
    [
        ('StandardRoIHead', dict(tiny.box_head(), with_reg=False)),  # as of Grid R-CNN
        ('StandardRoIHead', SABL),
        # as of CrowdDet: two rows for a proposal
        ('MultiInstanceRoIHead', dict(tiny.box_head(), type='MultiInstanceBBoxHead', num_shared_fcs=1)),
    ],
)
def test_a_second_stage_without_one_row_for_each_proposal(second, head):
    config = tiny.faster_rcnn()
    config['roi_head']['type'], config['roi_head']['bbox_head'] = second, head
    refuse(config, f'the {head["type"]} of {second} has no layers fc_cls and fc_reg')


def test_yolox():
    refuse(
        with_head(
            dict(type='YOLOXHead', num_classes=3, in_channels=32, feat_channels=16, stacked_convs=1, strides=STRIDES),
            train_cfg=None,
        ),
        'YOLOXHead',
    )


def test_vfnet():
    refuse(
        with_head(
            dict(
                type='VFNetHead',
                num_classes=3,
                in_channels=32,
                feat_channels=16,
                stacked_convs=1,
                strides=STRIDES,
                norm_cfg=tiny.GN,
                use_atss=False,
                regress_ranges=((-1, 16), (16, 32), (32, 64), (64, 1e8)),
            ),
            train_cfg=None,
        ),
        'VFNetHead',
    )


def test_a_head_that_wants_more_than_feature_maps():
    @MMDET_MODELS.register_module(force=True)
    class TextHead(MMDET_MODELS.get('RetinaHead')):
        def forward(self, feats, text):
            return super().forward(feats)

    refuse(with_head(dict(tiny.retinanet()['bbox_head'], type='TextHead')), "TextHead cannot be run on .*'text'")


def test_ssd():
    refuse(
        with_head(
            dict(
                type='SSDHead',
                num_classes=3,
                in_channels=(32,) * 4,
                bbox_coder=tiny.DELTAS,
                anchor_generator=dict(
                    type='SSDAnchorGenerator',
                    scale_major=False,
                    input_size=96,
                    strides=STRIDES,
                    ratios=([2], [2, 3], [2, 3], [2]),
                    min_sizes=[8, 16, 32, 64],
                    max_sizes=[16, 32, 64, 96],
                ),
            )
        ),
        'SSDHead',
    )


def test_a_softmax_over_anchors():
    refuse(tiny.retinanet(loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False)), 'RetinaHead scores.*softmax')


def test_strides_of_which_none_is_twice_another():
    refuse(
        tiny.retinanet(
            anchor_generator=dict(
                type='AnchorGenerator', octave_base_scale=2, scales_per_octave=1, ratios=[1.0], strides=[8, 32]
            )
        ),
        r'RetinaHead has strides \[8, 32\]',
    )


def test_a_detector_without_known_heads():
    class Headless(type(MMDET_MODELS.build(tiny.retinanet()))):
        bbox_head = None

    detector = MMDET_MODELS.build(tiny.retinanet())
    del detector.bbox_head
    detector.__class__ = Headless
    with pytest.raises(UserError, match='Headless has neither bbox_head nor rpn_head nor roi_head'):
        build_views(detector)


def test_an_empty_list_of_views():
    with pytest.raises(UserError, match='give `views`'):
        MODELS.build(dict(type='sssd.SED', detector=tiny.retinanet(), views=[], data_preprocessor=tiny.PREPROCESSOR))


def test_other_options_of_sed():
    with pytest.raises(UserError, match="scale_view is 'tiny'"):
        MODELS.build(dict(type='sssd.SED', detector=tiny.retinanet(), scale_view='tiny'))
    with pytest.raises(UserError, match="scale_target is 'small'; use each"):
        MODELS.build(dict(type='sssd.SED', detector=tiny.retinanet(), scale_target='small'))
