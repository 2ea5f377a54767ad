"""Level f of X pairs with level f - s of X^: held by a network that is scale-equivariant by construction."""

import pytest
import tiny
import torch
from mmdet.registry import MODELS as MMDET_MODELS
from mmengine.model import BaseModule

from sssd.detectors.sed import shrink
from sssd.errors import UserError
from sssd.losses import SoftLoss
from sssd.views import DenseView, Pass

STRIDES = [1, 2, 4, 8]


@MMDET_MODELS.register_module()
class HalvedImages(BaseModule):
    """A pyramid without weights: level l is the image halved l times.

    Args:
        flaw: What breaks the equivariance: None, ``'subsample'`` (other interpolation), ``'roll'`` (a shift by the
            number of the level) or ``'crop'`` (the finest level lacks a row).
    """

    def __init__(self, flaw=None):
        super().__init__()
        self.flaw = flaw

    def forward(self, images):
        return tuple(self.level(images, number) for number in range(len(STRIDES)))

    def level(self, images, number):
        if self.flaw == 'subsample':
            return images[..., :: 2**number, :: 2**number]
        halved = shrink(images, number)
        if self.flaw == 'roll':
            return halved.roll(number, dims=-1)
        lacks_a_row = self.flaw == 'crop' and number == 0
        return halved[..., :-1, :] if lacks_a_row else halved


def equivariant(kind, flaw=None):
    """A detector over :class:`HalvedImages`, its head a real one with random weights."""
    common = dict(in_channels=3, stacked_convs=1, feat_channels=4)
    if kind == 'retinanet':
        config = tiny.retinanet(
            **common,
            anchor_generator=dict(
                type='AnchorGenerator', octave_base_scale=2, scales_per_octave=2, ratios=[1.0], strides=STRIDES
            ),
        )
    else:
        config = tiny.fcos(**common, strides=STRIDES)
    config.update(backbone=dict(type='HalvedImages', flaw=flaw), neck=None)
    return config


def scale_terms(kind, shift, flaw=None):
    """Terms of Eq. 2 for random images."""
    model = tiny.build_sed(equivariant(kind, flaw), lambda_d=0.0)
    for parameter in model.student.bbox_head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    if kind == 'fcos':
        for scale in model.student.bbox_head.scales:
            scale.scale.data.fill_(1.5)
    model.shift = shift
    batch = tiny.make_batch()
    data = model.data_preprocessor(batch, True)
    losses, _ = model.unsupervised_losses(data['inputs'], data['data_samples'])
    return {name: loss.item() for name, loss in losses.items()}


@pytest.mark.parametrize('shift', [1, 2])
@pytest.mark.parametrize('kind', ['retinanet', 'fcos'])
def test_an_equivariant_network_has_no_scale_loss_at_all(kind, shift):
    assert scale_terms(kind, shift) == {'bbox_loss_scale_cls': 0.0, 'bbox_loss_scale_bbox': 0.0}


@pytest.mark.parametrize('flaw', ['subsample', 'roll'])
@pytest.mark.parametrize('shift', [1, 2])
@pytest.mark.parametrize('kind', ['retinanet', 'fcos'])
def test_another_network_has(kind, shift, flaw):
    terms = scale_terms(kind, shift, flaw)
    assert min(terms.values()) > 1e-4


def test_grids_that_do_not_match_are_refused():
    with pytest.raises(UserError, match=r'stride \(2.0, 2.0\).*pad_size_divisor'):
        scale_terms('retinanet', 1, 'crop')


def test_shrinking_by_steps_is_shrinking_at_once():
    images = torch.randn(2, 3, 32, 48)
    assert torch.equal(shrink(shrink(images, 1), 2), shrink(images, 3))
    assert shrink(images, 3).shape == (2, 3, 4, 6) and torch.equal(shrink(images, 0), images)


def test_shrinking_averages_what_it_drops():
    board = torch.zeros(1, 1, 16, 16)
    board[..., ::2, ::2] = board[..., 1::2, 1::2] = 1
    torch.testing.assert_close(shrink(board, 1)[..., 1:-1, 1:-1], torch.full((1, 1, 6, 6), 0.5))
    ramp = torch.arange(16.0).expand(1, 1, 16, 16)
    torch.testing.assert_close(shrink(ramp, 1)[0, 0, 0, 1:-1], torch.arange(8.0)[1:-1] * 2 + 0.5)


@pytest.mark.parametrize('size, shift', [((33, 32), 1), ((32, 34), 2)])
def test_sides_that_cannot_be_halved_are_refused(size, shift):
    with pytest.raises(UserError, match=r'cannot be shrunk by 2\*\*' + str(shift)):
        shrink(torch.zeros(1, 3, *size), shift)


class Grids:
    """Made-up outputs of a real head over images of two sizes in one padded batch."""

    def __init__(self, padded=(64, 96), images=((64, 96), (40, 72)), strides=(8, 16, 32, 64)):
        self.detector = MMDET_MODELS.build(
            tiny.retinanet(
                anchor_generator=dict(
                    type='AnchorGenerator',
                    octave_base_scale=2,
                    scales_per_octave=2,
                    ratios=[1.0],
                    strides=list(strides),
                )
            )
        )
        self.padded, self.images, self.strides = padded, images, strides
        self.view = DenseView()
        self.view.check(self.detector)

    def shape(self, stride, factor=1):
        return tuple(-(-side // (stride * factor)) for side in self.padded)

    def outputs(self, factor=1, fill=None):
        """Random maps of every level, or maps that ``fill(level)`` fills."""

        def maps(channels):
            made = [torch.randn(len(self.images), channels, *self.shape(stride, factor)) for stride in self.strides]
            return made if fill is None else [torch.full_like(one, fill(i)) for i, one in enumerate(made)]

        return maps(2 * tiny.CLASSES), maps(2 * 4)

    def run(self, outputs, factor=1):
        metas = [dict(img_shape=tuple(side / factor for side in image)) for image in self.images]
        run = Pass(self.detector, (), metas, tuple(side // factor for side in self.padded))
        run.once('bbox_head', lambda: outputs)
        return run


@pytest.mark.parametrize('shift', [1, 2])
def test_level_f_pairs_with_level_f_minus_s(shift):
    grids = Grids()
    full, small = grids.view.scale_pair(
        grids.run(grids.outputs(fill=float)), grids.run(grids.outputs(2**shift, fill=float), 2**shift), shift
    )
    counts = [len(grids.images) * 2 * h * w for h, w in (grids.shape(stride) for stride in grids.strides[shift:])]
    assert len(full.logits) == len(small.logits) == sum(counts)
    for level in range(shift, len(grids.strides)):
        rows = full.logits[:, 0] == level
        assert rows.sum() == counts[level - shift]
        assert (small.logits[rows] == level - shift).all() and (small.boxes[rows] == level - shift).all()


def test_rows_are_in_the_same_cell_and_anchor_on_both_sides():
    grids = Grids()
    outputs = grids.outputs()
    moved = tuple([*kind[1:], kind[0][..., :1, :1]] for kind in outputs)
    full, small = grids.view.scale_pair(grids.run(outputs), grids.run(moved, 2), 1)
    assert torch.equal(full.logits, small.logits) and torch.equal(full.boxes, small.boxes)


def test_without_a_partner_for_any_level_the_shift_is_refused():
    grids = Grids(strides=(8, 16, 32))
    with pytest.raises(UserError, match='no level of bbox_head has a partner'):
        grids.view.scale_pair(grids.run(grids.outputs()), grids.run(grids.outputs(8), 8), 3)


def cells_of(grids, level, image):
    """Numbers of columns and rows of a level that hold a part of an image, by walking over the cells."""
    height, width = grids.images[image]
    rows, columns = grids.shape(grids.strides[level])
    stride = grids.strides[level]
    return [[r * stride < height and c * stride < width for c in range(columns)] for r in range(rows)]


def test_cells_in_the_padding_have_no_influence():
    grids = Grids()
    full, small = grids.outputs(), grids.outputs(2)
    changed = []
    for outputs, offset in ((full, 0), (small, 1)):
        copies = [[one.clone() for one in maps] for maps in outputs]
        for maps in copies:
            for level in range(1, 4):
                for image in range(2):
                    padding = ~torch.tensor(cells_of(grids, level, image))
                    maps[level - offset][image][:, padding] += 7.0
        changed.append(tuple(copies))
    loss = SoftLoss()
    before = loss.scale(*grids.view.scale_pair(grids.run(full), grids.run(small, 2), 1))
    after = loss.scale(*grids.view.scale_pair(grids.run(changed[0]), grids.run(changed[1], 2), 1))
    assert not torch.equal(changed[0][0][1], full[0][1]) and before == after
    changed[0][0][1][1, 0, 0, 0] += 7.0
    assert loss.scale(*grids.view.scale_pair(grids.run(changed[0]), grids.run(changed[1], 2), 1)) != before
    terms = loss.distill(*grids.view.distill_pair(grids.run(full), grids.run(grids.outputs())))
    assert all(term > 0 for term in terms)


def test_valid_rows_are_the_cells_of_the_image():
    grids = Grids()
    view, _ = grids.view.distill_pair(grids.run(grids.outputs()), grids.run(grids.outputs()))
    expected = [
        inside
        for image in range(2)
        for level in range(4)
        for row in cells_of(grids, level, image)
        for inside in row
        for _ in range(2)
    ]
    assert view.valid.tolist() == expected and 0 < sum(expected) < len(expected)


@pytest.mark.parametrize('shift, size', [(1, (80, 112)), (2, (80, 112)), (1, (16, 48)), (1, (48, 80))])
@pytest.mark.parametrize('kind', ['retinanet', 'fcos'])
def test_odd_grids_of_a_real_pyramid_match(kind, shift, size):
    """A divisor of 16 under a largest stride of 64: convolutions round up, on both sides alike."""
    preprocessor = dict(
        tiny.PREPROCESSOR, data_preprocessor=dict(tiny.PREPROCESSOR['data_preprocessor'], pad_size_divisor=16)
    )
    model = tiny.build_sed(tiny.DETECTORS[kind](), data_preprocessor=preprocessor)
    model.shift = shift
    losses = tiny.losses_of(model, tiny.make_batch(size=size, boxes=[((2, 2, 12, 12),)]))
    assert losses['bbox_loss_scale_cls'].isfinite() and losses['bbox_loss_scale_cls'] > 0
