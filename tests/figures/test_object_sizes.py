"""Sizes of objects, and the sizes that label assignment allows: SED's Fig. 2a and 5."""

import math

import numpy as np
import pytest
import scale_runs
import tiny
import torch
from mmdet.registry import MODELS as MMDET_MODELS
from mmengine.hub import get_config

from sssd.errors import UserError
from sssd.figures.assignment import assign
from sssd.figures.object_sizes import Resizing, draw_sizes, object_sizes, size_statistics
from sssd.figures.style import plt
from sssd.figures.valid_range import ValidSizes, assigner_of, intervals, valid_sizes


def info(width, height, *boxes):
    return dict(
        width=width,
        height=height,
        instances=[dict(bbox=box, bbox_label=0, ignore_flag=int(crowd)) for box, crowd in boxes],
    )


def test_sizes_in_the_pixels_of_the_network():
    infos = [
        info(400, 200, ([0, 0, 40, 10], False), ([0, 0, 400, 200], True)),
        info(100, 100, ([10, 10, 35, 35], False)),
    ]
    pixels, relative = object_sizes(infos, Resizing((200, 200)))
    np.testing.assert_allclose(pixels, [10, 50])  # halved; doubled
    np.testing.assert_allclose(relative, [20 / math.sqrt(80000), 0.25])
    np.testing.assert_allclose(object_sizes(infos, Resizing())[0], [20, 25])
    np.testing.assert_allclose(object_sizes(infos, Resizing((100, 100), keep_ratio=False))[0], [math.sqrt(50), 25])


def test_cocos_resize():
    assert Resizing((1333, 800)).factors(640, 480) == (1067 / 640, 800 / 480)


def test_no_objects_are_a_mistake():
    with pytest.raises(UserError, match='none of the images has an object'):
        object_sizes([info(10, 10)], Resizing())


def test_statistics():
    pixels = np.array([10.0, 20, 40, 80])
    valid = [ValidSizes(0, [[15.0, 40.0]]), ValidSizes(1, [[0.0, 10.0], [80.0, None]]), ValidSizes(2, [])]
    found = size_statistics(pixels, pixels / 100, valid)
    assert (found['objects'], found['pixels']['mean'], found['pixels']['least']) == (4, 37.5, 10)
    assert found['pixels']['std'] == pytest.approx(math.sqrt(sum((x - 37.5) ** 2 for x in pixels) / 4))
    assert [each['share'] for each in found['valid']] == [0.5, 0.5, 0.0]
    assert [each['rate'] for each in found['valid']] == [1, 2, 4]
    assert found['cdf']['size'][0] == 10 and found['cdf']['size'][-1] == 80
    plt.close(draw_sizes(found, pixels, 'four objects'))


def test_intervals_are_found_by_bisection():
    def valid(size):
        return size < 3 or 10.5 <= size <= 20.25 or size > 90

    found = intervals(valid, np.geomspace(1, 128, 60))
    assert found == [
        [0.0, pytest.approx(3, abs=2e-3)],
        [pytest.approx(10.5, abs=2e-3), pytest.approx(20.25, abs=2e-3)],
        [pytest.approx(90, abs=2e-3), None],
    ]
    assert intervals(lambda size: False, np.geomspace(1, 8, 5)) == []
    # A gap that only rounding makes is none.
    assert intervals(lambda size: abs(size - 30) > 0.01, np.array([1, 29.9, 30, 30.1, 60])) == [[0.0, None]]


def rpn(pos_iou):
    """The RPN of mmdet's Faster R-CNN with FPN: squares of 32 to 512 pixels among its anchors."""
    assigner = dict(tiny.MAX_IOU, pos_iou_thr=pos_iou, neg_iou_thr=0.3, min_pos_iou=0.3)
    return MMDET_MODELS.build(
        dict(
            tiny.rpn_head(),
            anchor_generator=dict(
                type='AnchorGenerator', scales=[8], ratios=[0.5, 1.0, 2.0], strides=[4, 8, 16, 32, 64]
            ),
            train_cfg=dict(assigner=assigner, sampler=tiny.sampler(8, 0.5, False), allowed_border=-1, pos_weight=-1),
        )
    )


def test_the_papers_range_is_that_of_an_iou_of_half():
    head = rpn(0.7)
    found = list(valid_sizes(head, (0, 1, 4), assigner_of(head, pos_iou=0.5)))
    # "from 22.6 to 724.1": 32 / sqrt(2) to 512 sqrt(2); an s more takes away an octave from below
    assert found[0].intervals == [[pytest.approx(22.627, abs=2e-3), pytest.approx(724.077, abs=2e-3)]]
    assert found[1].intervals == [[pytest.approx(45.255, abs=2e-3), pytest.approx(724.077, abs=2e-3)]]
    assert found[2].intervals == [[pytest.approx(362.039, abs=2e-3), pytest.approx(724.077, abs=2e-3)]]
    assert head.assigner.pos_iou_thr == 0.7  # a copy was changed


def test_a_stricter_iou_leaves_gaps_and_the_rescue_fills_them():
    head = rpn(0.7)
    (strict,) = valid_sizes(head, [0], assigner_of(head))
    root = math.sqrt(0.7)
    sizes = [32 * 2**level for level in range(5)]
    expected = [bound for size in sizes for bound in (size * root, size / root)]
    np.testing.assert_allclose(np.ravel(strict.intervals), expected, atol=2e-3)
    (loose,) = valid_sizes(head, [0], assigner_of(head, low_quality=True))
    np.testing.assert_allclose(loose.intervals, [[32 * math.sqrt(0.3), 512 / math.sqrt(0.3)]], atol=2e-3)


def test_fcos_ranges():
    head = MMDET_MODELS.build(tiny.fcos_head())  # center sampling; up to 16, 32, 64 pixels, and more
    assert head.regress_ranges[-1] == (64, 1e8)
    everything, halved, most = valid_sizes(head, (0, 1, 3), assigner_of(head))
    assert everything.intervals == [[0.0, None]]
    # s = 1: X's finest level has no partner; the next one takes a point 16 pixels from a side of its object. X's
    # coarsest level pairs with one of X^ that ends at 64 pixels from a side: objects of 128 pixels there, 256 here.
    np.testing.assert_allclose(halved.intervals, [[16, 256]], atol=0.01)
    # s = 3: X's coarsest level, from 64 pixels on, with the finest of X^, up to 16 pixels.
    np.testing.assert_allclose(most.intervals, [[128, 256]], atol=0.01)
    with pytest.raises(UserError, match='--pos-iou has no meaning for FCOSHead'):
        assigner_of(head, pos_iou=0.5)


def test_an_iou_that_is_none():
    with pytest.raises(UserError, match='an IoU lies in'):
        assigner_of(rpn(0.7), pos_iou=1.5)


@pytest.mark.parametrize('kind', ['c4', 'dc5'])
def test_anchors_of_a_single_map_allow_what_those_of_a_pyramid_do(kind):
    """mmdet's own C4 and DC5 have squares of 32 to 512 pixels as its pyramid has; a scale less is an octave less."""
    model = get_config(f'mmdet::_base_/models/faster-rcnn_r50-caffe-{kind}.py').model
    head = MMDET_MODELS.build(dict(model.rpn_head, train_cfg=model.train_cfg.rpn))
    found = [valid_sizes(each, (0, 1, 4, 5), assigner_of(each, pos_iou=0.5)) for each in (head, rpn(0.7))]
    for ours, theirs in zip(*found):
        np.testing.assert_allclose(ours.intervals, theirs.intervals, atol=2e-3)
        assert len(ours.intervals) == (ours.shift < 5)  # no scale is 32 times another


def atss():
    """An ATSS head of strides 8 to 64 with one square a cell."""
    return MMDET_MODELS.build(
        dict(
            type='ATSSHead',
            num_classes=3,
            in_channels=32,
            stacked_convs=1,
            feat_channels=16,
            norm_cfg=tiny.GN,
            bbox_coder=tiny.DELTAS,
            loss_cls=tiny.FOCAL,
            loss_bbox=dict(type='GIoULoss'),
            loss_centerness=dict(type='CrossEntropyLoss', use_sigmoid=True),
            anchor_generator=dict(
                type='AnchorGenerator', octave_base_scale=8, scales_per_octave=1, ratios=[1.0], strides=[8, 16, 32, 64]
            ),
            train_cfg=dict(assigner=dict(type='ATSSAssigner', topk=9), allowed_border=-1, pos_weight=-1),
        )
    )


def foreground(head, side, size, centre, assigner):
    """Rows of an image with one square in the middle, level by level: (H, W, A)."""
    grids = [(-(-side // stride[1]), -(-side // stride[0])) for stride in head.prior_generator.strides]
    x, y, half = *centre, size / 2
    found = assign(
        head,
        head.prior_generator.grid_priors(grids, device='cpu'),
        torch.tensor([[x - half, y - half, x + half, y + half]], dtype=torch.float),
        (side, side),
        assigner,
    )
    return [(rows > 0).view(*grid, -1) for rows, grid in zip(found, grids)]


def allowed(head, size, shift, assigner):
    """Whether a square in the middle of an image of 1024 pixels is foreground in X and, paired, in X^."""
    step, strides = 2**shift, [stride[0] for stride in head.prior_generator.strides]
    offset = head.prior_generator.offset if hasattr(head.prior_generator, 'offset') else 0
    for middle in {512 + offset * stride for stride in strides}:
        full = foreground(head, 1024, size, (middle, middle), assigner)
        small = foreground(head, 1024 // step, size / step, (middle / step, middle / step), assigner)
        if len(strides) > 1:
            pairs = [(full[place + shift], small[place]) for place in range(len(strides) - shift)]
        else:
            base = head.prior_generator.base_anchors[0].tolist()
            pairs = [
                (full[0][::step, ::step, here], small[0][..., there])
                for here, large in enumerate(base)
                for there, little in enumerate(base)
                if large == [side * step for side in little]
            ]
        if any((here & there).any() for here, there in pairs):
            return True
    return False


@pytest.mark.parametrize(
    'name, shift',
    [('retinanet', 1), ('fcos', 2), ('atss', 1), ('atss', 2), ('c4', 1), ('c4', 2), ('yolof', 1), ('yolof', 2)],
)
def test_valid_sizes_are_those_of_an_object_in_a_whole_image(name, shift):
    """The head's own grids over 1024 pixels, the pairs taken by hand."""
    detector = None if name == 'atss' else scale_runs.build(name)[0]
    head = atss() if detector is None else getattr(detector, 'rpn_head', None) or detector.bbox_head
    assigner = assigner_of(head)
    (found,) = valid_sizes(head, [shift], assigner)
    edges = [edge for interval in found.intervals for edge in interval]
    assert found.intervals and edges == sorted(edges, key=lambda edge: math.inf if edge is None else edge)
    inside = {
        size: allowed(head, size, shift, assigner)
        for size in np.geomspace(3, 900, 24)
        if all(edge is None or abs(size - edge) > 0.02 * size for edge in edges)
    }
    assert {size: found.share_of(np.array([size])) == 1 for size in inside} == inside
    assert set(inside.values()) == {False, True}
