"""Detectors on a single feature map: anchors of X and X^ that are the same box of the image pair, and no others."""

import numpy as np
import pytest
import tiny
import torch
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.registry import TASK_UTILS
from mmengine.model import BaseModule

from sssd.detectors.sed import shrink
from sssd.errors import UserError
from sssd.views import DenseView, Pass, build_views

SIZE, IMAGES = (128, 192), ((128, 192), (90, 130))
#: Scales, ratios and places of the anchors of a cell of 16 pixels.
SCALES, RATIOS, STRIDE = [1, 2, 4, 8], [0.5, 1.0, 2.0], 16


def generator(**changes):
    """Config of the anchors of one map."""
    return {**dict(type='AnchorGenerator', scales=SCALES, ratios=RATIOS, strides=[STRIDE]), **changes}


def with_anchors(**changes):
    """Config of a C4 detector with these anchors."""
    config = tiny.c4()
    config['rpn_head']['anchor_generator'] = generator(**changes)
    return config


def made_up(detector, factor=1):
    """A pass of random scores and deltas over images in one padded batch."""
    grid = tuple(side // factor // STRIDE for side in SIZE)
    count = detector.rpn_head.num_base_priors
    metas = [dict(img_shape=tuple(side / factor for side in image)) for image in IMAGES]
    run = Pass(detector, (), metas, tuple(side // factor for side in SIZE))
    run.once('rpn_head', lambda: ([torch.randn(2, count, *grid)], [torch.randn(2, count * 4, *grid)]))
    return run


def boxes_of_x(run, detector, factor):
    """Every anchor of a pass in the pixels of X, image, row, column and anchor: (2 H W A, 4)."""
    grid = run.once('rpn_head', None)[0][0].shape[-2:]
    (anchors,) = detector.rpn_head.prior_generator.grid_priors([grid], device='cpu')
    return np.concatenate([anchors.numpy() * factor] * 2)


@pytest.mark.parametrize('scale_major', [True, False])
@pytest.mark.parametrize('shift', [1, 2])
def test_rows_that_pair_are_the_same_box_of_the_image(shift, scale_major):
    """mmdet's own anchors say so, whatever the order of scales and ratios; nothing that has a partner is left out."""
    detector = MMDET_MODELS.build(with_anchors(scale_major=scale_major))
    view, factor = DenseView('rpn_head'), 2**shift
    view.check(detector)
    full, small = made_up(detector), made_up(detector, factor)
    boxes = [boxes_of_x(run, detector, step) for run, step in ((full, 1), (small, factor))]
    found = view.scale_pair(full, small, shift)
    everything = [view.distill_pair(run, run)[0] for run in (full, small)]
    places = [locate(rows, whole) for rows, whole in zip(found, everything)]
    np.testing.assert_allclose(boxes[0][places[0]], boxes[1][places[1]], atol=1e-4)
    cells = (SIZE[0] // STRIDE // factor) * (SIZE[1] // STRIDE // factor)
    assert len(set(places[0])) == len(places[0]) == 2 * cells * len(RATIOS) * (len(SCALES) - shift)
    images = [place * 2 // len(whole.logits) for place, whole in zip(places, everything)]
    assert (images[0] == images[1]).all()


def locate(rows, whole):
    """Where each row stands among all rows, by its random deltas, which no two share."""
    table = {tuple(box): index for index, box in enumerate(whole.boxes[:, 0].tolist())}
    found = np.array([table[tuple(box)] for box in rows.boxes[:, 0].tolist()])
    assert torch.equal(rows.logits, whole.logits[found])
    return found


def test_scale_index_k_pairs_with_k_minus_s():
    """The scores are the index of the anchor's scale."""
    detector = MMDET_MODELS.build(with_anchors(ratios=[1.0]))
    view = DenseView('rpn_head')
    view.check(detector)
    runs = []
    for factor in (1, 2):
        run = Pass(detector, (), [dict(img_shape=SIZE)], SIZE)
        maps = torch.arange(4.0)[None, :, None, None].expand(1, 4, 8 // factor, 12 // factor)
        run.once('rpn_head', lambda maps=maps: ([maps], [maps.repeat(1, 4, 1, 1)]))
        runs.append(run)
    full, small = view.scale_pair(*runs, 1)
    assert full.logits.unique().tolist() == [1, 2, 3] and torch.equal(small.logits, full.logits - 1)


def test_cells_in_the_padding_take_no_part():
    detector = MMDET_MODELS.build(with_anchors())
    full, small = build_views(detector)[0].scale_pair(made_up(detector), made_up(detector, 2), 1)
    expected = [
        row * 32 < height and column * 32 < width
        for height, width in IMAGES
        for row in range(4)
        for column in range(6)
        for _ in range(9)
    ]
    assert full.valid.tolist() == small.valid.tolist() == expected and 0 < sum(expected) < len(expected)


def test_a_rate_without_a_partner_is_refused():
    detector = MMDET_MODELS.build(with_anchors(scales=[2, 4]))
    view = build_views(detector)[0]
    with pytest.raises(UserError, match='no level of rpn_head has a partner.*more anchor scales on a single map'):
        view.scale_pair(made_up(detector), made_up(detector, 4), 2)


@pytest.mark.parametrize(
    'changes, words',
    [
        (dict(scales=[8]), r'anchor scales \[8.0\]'),
        (dict(scales=[2, 3, 5]), r'anchor scales \[2.0, 3.0, 5.0\]'),
        (dict(scales=[2, 6]), 'powers of two apart'),
        (dict(center_offset=0.5), 'center_offset 0.5'),
    ],
)
def test_anchors_of_which_none_is_twice_another_are_refused(changes, words):
    with pytest.raises(UserError, match='RPNHead has one feature map with .*' + words):
        build_views(MMDET_MODELS.build(with_anchors(**changes)))


def test_points_on_a_single_map_are_refused():
    config = tiny.fcos(strides=[16], regress_ranges=((-1, 1e8),))
    with pytest.raises(UserError, match='FCOSHead has one feature map and no anchors'):
        build_views(MMDET_MODELS.build(config))


@MMDET_MODELS.register_module()
class BoxFinder(BaseModule):
    """A map without weights: the positive and negative parts of the deltas from every anchor to one dark rectangle.

    Args:
        flaw: By how many of its own pixels the map lies beside its cells, whatever the size of the image.
    """

    def __init__(self, flaw=0.0):
        super().__init__()
        self.flaw, self.anchors = flaw, TASK_UTILS.build(generator())
        self.coder = TASK_UTILS.build(tiny.DELTAS)

    def forward(self, images):
        return (torch.stack([self.deltas(image) for image in images]),)

    def deltas(self, image):
        """Channels (2 A 4, H, W)."""
        ys, xs = (torch.nonzero((image[0] < 0).any(dim)).flatten() for dim in (1, 0))
        box = torch.stack([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1]) + self.flaw
        grid = [side // STRIDE for side in image.shape[-2:]]
        (anchors,) = self.anchors.grid_priors([grid], device='cpu')
        deltas = self.coder.encode(anchors, box.expand_as(anchors)).reshape(*grid, -1).permute(2, 0, 1)
        return torch.cat([deltas, -deltas]).clamp(min=0)


def largest_gap(flaw):
    """Between the deltas of X and X^ in a detector that finds one rectangle whatever its size."""
    config, count = with_anchors(), 4 * len(SCALES) * len(RATIOS)
    config['backbone'] = dict(type='BoxFinder', flaw=flaw)
    config['rpn_head'].update(in_channels=2 * count, feat_channels=2 * count)
    detector = MMDET_MODELS.build(config)
    head = detector.rpn_head
    torch.nn.init.dirac_(head.rpn_conv.weight)
    for layer in (head.rpn_conv, head.rpn_reg):
        torch.nn.init.zeros_(layer.bias)
    head.rpn_reg.weight.data = torch.cat([torch.eye(count), -torch.eye(count)], 1)[..., None, None]
    image = torch.ones(1, 3, *SIZE)
    image[..., 16:80, 40:136] = -1
    runs = [
        Pass(detector, detector.extract_feat(shrink(image, shift)), [dict(img_shape=SIZE)], SIZE) for shift in (0, 1)
    ]
    full, small = build_views(detector)[0].scale_pair(*runs, 1)
    assert full.boxes.abs().max() > 1
    return (full.boxes - small.boxes).abs().max()


def test_an_equivariant_detector_has_the_same_deltas_on_both_sides():
    assert largest_gap(0.0) < 1e-5
    assert largest_gap(8.0) > 0.1


@pytest.mark.parametrize('make', [tiny.c4, tiny.dc5])
def test_odd_grids_match(make):
    """A divisor of 16 under a stride of 16: X has grids of 5 x 7 cells, and X^ rounds up to 3 x 4."""
    preprocessor = dict(
        tiny.PREPROCESSOR, data_preprocessor=dict(tiny.PREPROCESSOR['data_preprocessor'], pad_size_divisor=16)
    )
    model = tiny.build_sed(make(), data_preprocessor=preprocessor)
    losses = tiny.losses_of(model, tiny.make_batch(size=(75, 110)))
    assert losses['rpn_loss_scale_cls'].isfinite() and losses['rpn_loss_scale_bbox'] > 0


def test_the_shared_head_of_c4_is_in_the_second_stages_rows():
    model = tiny.build_sed(tiny.c4())
    model.backward = 'joint'  # two terms alone have a gradient of their own
    losses = tiny.losses_of(model, tiny.make_batch())
    (losses['roi_loss_scale_cls'] + losses['roi_loss_distill_bbox']).backward()
    shared = list(model.student.roi_head.shared_head.parameters())
    assert shared and all(value.grad is not None and value.grad.isfinite().all() for value in shared)
    assert any(value.grad.abs().sum() > 0 for value in shared)


def test_yolof_takes_part():
    """mmdet's one-stage detector on one map, its anchors twice as large each time."""
    model = tiny.build_sed(tiny.yolof())
    losses = tiny.losses_of(model, tiny.make_batch(size=(192, 192)))
    assert all(losses[f'bbox_loss_{kind}_{part}'] > 0 for kind in ('scale', 'distill') for part in ('cls', 'bbox'))
    total, _ = model.parse_losses(losses)
    total.backward()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in model.student.parameters())
