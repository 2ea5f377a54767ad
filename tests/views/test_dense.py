"""Rows of dense heads: joint scores, order, units, and the form heads have while training."""

import numpy as np
import pytest
import tiny
import torch
from mmdet.models.dense_heads import ATSSHead
from mmdet.registry import MODELS as MMDET_MODELS

from sssd.errors import UserError
from sssd.views import DenseView, Pass, build_views
from sssd.views.dense import forward_as_in_training, joint_logit, to_rows


def test_joint_logit_is_that_of_the_product_of_probabilities():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 4, (50, 3)), rng.normal(0, 4, (50, 1))
    product = 1 / (1 + np.exp(-a)) / (1 + np.exp(-b))
    ours = joint_logit(torch.tensor(a), torch.tensor(b))
    np.testing.assert_allclose(ours, np.log(product / (1 - product)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('a, b', [(90.0, 90.0), (-90.0, 90.0), (-90.0, -90.0), (0.0, 0.0)])
def test_joint_logit_of_confident_scores_is_finite_with_its_gradient(a, b):
    score, quality = torch.tensor([a], requires_grad=True), torch.tensor([b], requires_grad=True)
    joint = joint_logit(score, quality)
    joint.backward()
    assert all(torch.isfinite(value).all() for value in (joint, score.grad, quality.grad))


def test_rows_are_ordered_as_mmdet_orders_its_anchors():
    maps = torch.arange(2 * 6 * 3 * 4.0).reshape(2, 6, 3, 4)
    rows = to_rows(maps, 3)
    for image in range(2):
        expected = [
            maps[image, 3 * anchor : 3 * anchor + 3, r, c].tolist()
            for r in range(3)
            for c in range(4)
            for anchor in range(2)
        ]
        assert rows[image].tolist() == expected


def passes(config, size=(64, 96), images=2):
    """A built detector and its pass over random images."""
    detector = MMDET_MODELS.build(config)
    detector.init_weights()
    metas = [dict(img_shape=size)] * images
    return detector, Pass(detector, detector.extract_feat(torch.randn(images, 3, *size)), metas, size)


@pytest.mark.parametrize('on_box', [True, False])
def test_fcos_boxes_are_in_strides_and_scores_joint(on_box):
    detector, run = passes(tiny.fcos(norm_on_bbox=on_box))
    view = DenseView()
    view.check(detector)
    scores, boxes, centers = detector.bbox_head(run.feats)
    for level, score, box, center, stride in zip(view.levels(run), scores, boxes, centers, (8, 16, 32, 64)):
        unit = 1 if on_box else stride
        torch.testing.assert_close(level.boxes, box.permute(0, 2, 3, 1).reshape(2, -1, 4) / unit)
        product = (score.sigmoid() * center.sigmoid()).permute(0, 2, 3, 1).reshape(2, -1, tiny.CLASSES)
        torch.testing.assert_close(level.logits.sigmoid(), product)


def test_retinanet_boxes_are_deltas_and_scores_as_they_are():
    detector, run = passes(tiny.retinanet())
    view = DenseView()
    view.check(detector)
    scores, boxes = detector.bbox_head(run.feats)
    rows, _ = view.distill_pair(run, run)
    first = view.levels(run)[0]
    torch.testing.assert_close(first.logits, scores[0].permute(0, 2, 3, 1).reshape(2, -1, tiny.CLASSES))
    torch.testing.assert_close(first.boxes, boxes[0].permute(0, 2, 3, 1).reshape(2, -1, 4))
    cells = sum(maps.shape[-1] * maps.shape[-2] for maps in scores)
    assert rows.logits.shape == (2 * 2 * cells, tiny.CLASSES) and rows.boxes.shape == (2 * 2 * cells, 1, 4)
    assert rows.activation == 'sigmoid' and rows.valid.all()


def test_an_evaluated_head_answers_as_in_training_and_keeps_its_mode():
    detector, run = passes(tiny.fcos())
    head = detector.bbox_head
    head.eval()
    evaluated = head(run.feats)[1]
    as_trained = forward_as_in_training(head, run.feats)[1]
    assert not any(module.training for module in head.modules())
    for plain, ours, stride in zip(evaluated, as_trained, (8, 16, 32, 64)):
        torch.testing.assert_close(plain, ours * stride)
    assert evaluated[0].abs().sum() > 0


def test_batch_norm_of_an_evaluated_head_is_left_alone():
    detector, run = passes(tiny.fcos(norm_cfg=dict(type='BN')))
    detector.eval()
    before = tiny.state_of(detector)
    forward_as_in_training(detector.bbox_head, run.feats)
    assert all(torch.equal(value, before[name]) for name, value in detector.state_dict().items())


def test_checking_a_head_leaves_its_state_and_mode():
    detector, _ = passes(tiny.fcos(norm_cfg=dict(type='BN')))
    detector.train()
    before = tiny.state_of(detector)
    DenseView().check(detector)
    assert all(module.training for module in detector.modules())
    assert all(torch.equal(value, before[name]) for name, value in detector.state_dict().items())


def test_a_head_runs_once_for_a_pass():
    detector, run = passes(tiny.retinanet())
    calls = []
    detector.bbox_head.register_forward_hook(lambda *_: calls.append(1))
    (view,) = build_views(detector)
    calls.clear()
    view.distill_pair(run, run)
    view.levels(run)
    assert len(calls) == 1


def test_views_follow_the_heads_that_exist():
    names = {
        kind: [view.name for view in build_views(MMDET_MODELS.build(make()))] for kind, make in tiny.DETECTORS.items()
    }
    assert names == dict(retinanet=['bbox'], fcos=['bbox'], faster_rcnn=['rpn', 'roi'])


def test_atss_needs_no_code_of_its_own():
    """An anchor head with a quality score, deltas and adaptive targets."""
    config = tiny.retinanet()
    config.update(
        type='ATSS',
        bbox_head=dict(
            type='ATSSHead',
            num_classes=3,
            in_channels=32,
            stacked_convs=1,
            feat_channels=16,
            norm_cfg=tiny.GN,
            bbox_coder=tiny.DELTAS,
            loss_cls=tiny.FOCAL,
            anchor_generator=dict(
                type='AnchorGenerator', octave_base_scale=8, scales_per_octave=1, ratios=[1.0], strides=[8, 16, 32, 64]
            ),
            loss_bbox=dict(type='GIoULoss'),
            loss_centerness=dict(type='CrossEntropyLoss', use_sigmoid=True),
        ),
        train_cfg=dict(assigner=dict(type='ATSSAssigner', topk=3), allowed_border=-1, pos_weight=-1, debug=False),
    )
    model = tiny.build_sed(config)
    assert isinstance(model.student.bbox_head, ATSSHead)
    losses = tiny.losses_of(model, tiny.make_batch())
    assert losses['bbox_loss_scale_cls'] > 0 and losses['bbox_loss_distill_bbox'] > 0


def test_an_unknown_unit_is_refused():
    with pytest.raises(UserError, match="box_unit is 'metres'"):
        DenseView(box_unit='metres')


def test_a_view_of_a_head_that_is_not_there_names_the_detector():
    with pytest.raises(UserError, match='RetinaNet has no rpn_head'):
        build_views(MMDET_MODELS.build(tiny.retinanet()), [dict(type='DenseView', head='rpn_head')])
