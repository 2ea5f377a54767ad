"""Foreground by a head's own assignment, against the rules written out in NumPy."""

import numpy as np
import pytest
import scale_runs
import tiny
import torch
from mmdet.registry import MODELS as MMDET_MODELS
from mmengine.hub import get_config

from sssd.errors import UserError
from sssd.figures.assignment import assign

GRIDS = {
    'retinanet': [(8, 12), (4, 6), (2, 3), (1, 2)],
    'fcos': [(8, 12), (4, 6), (2, 3), (1, 2)],
    'faster_rcnn': [(16, 24), (8, 12), (4, 6), (2, 3), (1, 2)],
    'c4': [(4, 6)],
    'yolof': [(6, 8)],
}
BOXES = torch.tensor([[8.0, 8, 40, 40], [30, 20, 90, 60], [60, 4, 76, 20], [1, 1, 3, 3]])


def head_of(name):
    detector, _ = scale_runs.build(name)
    return getattr(detector, 'rpn_head', None) or detector.bbox_head


def priors_of(head, grids):
    """Anchors or points of a head's levels."""
    return head.prior_generator.grid_priors(grids, device='cpu')


def ious(anchors, boxes):
    """IoU (anchors, boxes)."""
    low = np.maximum(anchors[:, None, :2], boxes[None, :, :2])
    high = np.minimum(anchors[:, None, 2:], boxes[None, :, 2:])
    shared = (high - low).clip(0).prod(-1)
    area = [(part[:, 2:] - part[:, :2]).prod(-1) for part in (anchors, boxes)]
    return shared / (area[0][:, None] + area[1][None] - shared)


@pytest.mark.parametrize('name', ['retinanet', 'faster_rcnn', 'c4'])
def test_anchors_by_their_iou(name):
    head = head_of(name)
    priors = priors_of(head, GRIDS[name])
    found = assign(head, priors, BOXES, (64, 96))
    assert [len(level) for level in found] == [len(level) for level in priors]
    overlap = ious(torch.cat(priors).numpy(), BOXES.numpy())
    expected = np.where(overlap.max(1) >= 0.5, overlap.argmax(1) + 1, np.where(overlap.max(1) < 0.4, 0, -1))
    for place, best in enumerate(overlap.max(0)):  # the rescue: every object has its best anchors, from 0.2 on
        if best >= 0.2:
            expected[overlap[:, place] == best] = place + 1
    assert torch.cat(found).tolist() == expected.tolist()
    assert {-1, 0, 1, 2, 3} == set(expected.tolist())  # the object of 2 pixels has no anchor


def fcos_targets(points, stride, limits, boxes):
    """FCOS's object for each point: the smallest box whose middle the point lies in and whose sides are in range."""
    found = []
    for x, y in points:
        best = (np.inf, 0)
        for place, (x1, y1, x2, y2) in enumerate(boxes):
            cx, cy, radius = (x1 + x2) / 2, (y1 + y2) / 2, 1.5 * stride
            middle = max(cx - radius, x1) < x < min(cx + radius, x2) and max(cy - radius, y1) < y < min(cy + radius, y2)
            if middle and limits[0] <= max(x - x1, x2 - x, y - y1, y2 - y) <= limits[1]:
                best = min(best, ((x2 - x1) * (y2 - y1), place + 1))
        found.append(best[1])
    return found


def test_points_by_their_ranges():
    head = head_of('fcos')
    boxes = torch.cat([BOXES, BOXES + 1])  # more objects than classes
    priors = priors_of(head, GRIDS['fcos'])
    found = assign(head, priors, boxes)
    for level, points, stride, limits in zip(found, priors, (8, 16, 32, 64), head.regress_ranges):
        assert level.tolist() == fcos_targets(points.tolist(), stride, limits, boxes.tolist())
    assert len(set(torch.cat(found).tolist())) > 4


def test_yolof_takes_the_nearest_anchors():
    """The four nearest of each object by the L1 distance of (cx, cy, w, h), if they overlap it by 0.15 or more."""
    head, boxes = head_of('yolof'), torch.tensor([[10.0, 13, 60, 81], [120, 40, 236, 171], [200, 10, 206, 15]])
    anchors = priors_of(head, GRIDS['yolof'])
    places, middles = (
        np.stack(
            [
                (part[:, 0] + part[:, 2]) / 2,
                (part[:, 1] + part[:, 3]) / 2,
                part[:, 2] - part[:, 0],
                part[:, 3] - part[:, 1],
            ],
            1,
        )
        for part in (anchors[0].numpy(), boxes.numpy())
    )
    overlap = ious(anchors[0].numpy(), boxes.numpy())
    expected = np.where(overlap.max(1) > 0.7, -1, 0)
    for place, middle in enumerate(middles):
        for row in np.argsort(abs(places - middle).sum(1), kind='stable')[:4]:
            expected[row] = place + 1 if overlap[row, place] >= 0.15 else -1
    assert assign(head, anchors, boxes, (192, 256))[0].tolist() == expected.tolist()
    assert {0, 1, 2} <= set(expected.tolist()) and 3 not in expected  # the last object is too small for any anchor


@pytest.mark.parametrize('name', list(GRIDS))
def test_without_objects_all_is_background(name):
    head = head_of(name)
    found = assign(head, priors_of(head, GRIDS[name]), torch.zeros(0, 4), (64, 96))
    assert all((level == 0).all() for level in found) and len(found) == len(GRIDS[name])


def test_anchors_beyond_the_border_are_neither():
    head = head_of('retinanet')
    head.train_cfg['allowed_border'] = 0
    priors = priors_of(head, GRIDS['retinanet'])
    found, anchors = torch.cat(assign(head, priors, BOXES, (64, 96))), torch.cat(priors)
    outside = (anchors[:, :2] < 0).any(1) | (anchors[:, 2] >= 96) | (anchors[:, 3] >= 64)
    assert (found[outside] == -1).all() and (found[~outside] > 0).any()


@pytest.mark.parametrize(
    'kind, more',
    [
        ('FoveaHead', dict(strides=[8, 16], base_edge_list=[16, 32], scale_ranges=((1, 64), (32, 128)))),
        ('YOLOXHead', dict(strides=(8, 16), train_cfg=dict(assigner=dict(type='SimOTAAssigner')))),
    ],
)
def test_heads_that_assign_otherwise_are_refused(kind, more):
    head = MMDET_MODELS.build(dict(type=kind, num_classes=tiny.CLASSES, in_channels=32, feat_channels=32, **more))
    with pytest.raises(UserError, match=f'{kind} assigns its targets (by|in a way)'):
        assign(head, priors_of(head, [(8, 8), (4, 4)]), BOXES)


@pytest.mark.parametrize(
    'config',
    [
        'ddod/ddod_r50_fpn_1x_coco.py',
        'free_anchor/freeanchor_r50_fpn_1x_coco.py',
        'paa/paa_r50_fpn_1x_coco.py',
        'tood/tood_r50_fpn_1x_coco.py',
    ],
)
def test_heads_whose_predictions_decide_are_refused_whatever_their_assigner(config):
    model = get_config(f'mmdet::{config}').model
    head = MMDET_MODELS.build(dict(model.bbox_head, train_cfg=model.train_cfg))
    with pytest.raises(UserError, match=f'{type(head).__name__} assigns its targets by what it predicts'):
        assign(head, priors_of(head, [(8, 8), (4, 4), (2, 2), (1, 1), (1, 1)]), BOXES)


def test_a_config_without_train_cfg_is_told():
    """As one that was exported: the head has no assigner."""
    head = MMDET_MODELS.build(dict(tiny.retinanet(), train_cfg=None)).bbox_head
    with pytest.raises(UserError, match='has no train_cfg for RetinaHead'):
        assign(head, priors_of(head, GRIDS['retinanet']), BOXES)
