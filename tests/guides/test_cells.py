"""Which cells a box covers by each rule; pooling and rendering where half precision would not hold the numbers."""

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F
from lgd_loops import covers

from sssd.guides import box_labels, cells
from sssd.guides.cells import RULES, Cells, Cover, pool, render, render_convolved

SIDE = 300


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_a_large_box_under_autocast(dtype):
    """A sum over 90,000 cells of 1.25 is beyond 65504, the largest half; its mean is not."""
    level = torch.full((1, 2, SIDE, SIDE), 1.25, dtype=dtype)
    covered = Cover(*torch.ones(2, 1, 1, SIDE, dtype=torch.bool))
    with torch.autocast('cpu', dtype=dtype):
        assert torch.equal(pool([level], [covered]), torch.full((1, 1, 1, 2), 1.25))


def test_overlaps_under_autocast():
    vectors = torch.full((1, 1, 3, 2), 3e4, dtype=torch.float16)
    covered = Cover(*torch.ones(2, 1, 3, 2, dtype=torch.bool))
    with torch.autocast('cpu', dtype=torch.float16):
        assert torch.equal(render(vectors, [covered])[0], 3 * vectors[0, 0, 0, 0].float().expand(1, 2, 2, 2))


def test_corners_are_pixels_whatever_the_precision_of_the_maps():
    """bfloat16 has no 1028."""
    cells = Cells.of([torch.zeros(1, 2, 1, SIDE, dtype=torch.bfloat16)], [(4, 4)])
    assert cells.corners[:, 0].tolist() == [4.0 * index for index in range(SIDE)]


def test_strides_of_unequal_sides():
    cells = Cells.of([torch.zeros(1, 1, 2, 3)], [(4, 10)])
    assert cells.size == (12, 20)
    assert cells.corners.tolist() == [
        [0, 0, 4, 10],
        [4, 0, 8, 10],
        [8, 0, 12, 10],
        [0, 10, 4, 20],
        [4, 10, 8, 20],
        [8, 10, 12, 20],
    ]
    assert cells.rows.place.tolist() == [0, 10] and cells.columns.place.tolist() == [0, 4, 8]


BATCH, STRIDES = (64, 96), ((8, 8), (16, 16), (32, 16), (64, 64))


def covered(boxes, rule, size=BATCH):
    """(m, P) maps of booleans, and their shapes."""
    maps = [torch.zeros(1, 1, -(-size[0] // height), -(-size[1] // width)) for width, height in STRIDES]
    found = Cells.of(maps, STRIDES).covered(box_labels([tiny.sample(size, boxes)]), rule)
    shapes = [tuple(level.shape[-2:]) for level in maps]
    parts = [[level.cells[0, box].view(shape) for level, shape in zip(found, shapes)] for box in range(len(boxes))]
    return parts, shapes


@pytest.mark.parametrize('rule', ['index', 'overlap'])
def test_both_rules_agree_with_loops(rule):
    """Random boxes, and boxes whose sides lie on cells; the last level's stride does not divide the batch."""
    torch.manual_seed(0)
    corner = torch.rand(60, 2) * torch.tensor([80.0, 50.0])
    boxes = torch.cat([corner, corner + torch.rand(60, 2) ** 2 * torch.tensor([60.0, 40.0])], 1)
    boxes[30:] = (boxes[30:] / 8).round() * 8
    boxes[0] = torch.tensor([0.0, 0.0, 96.0, 64.0])
    parts, shapes = covered(boxes.tolist(), rule)
    empty = 0
    for box, levels in zip(boxes.tolist(), parts):
        for found, shape, stride in zip(levels, shapes, STRIDES):
            assert found.tolist() == covers(box, shape, stride, BATCH, rule)
            empty += not found.any()
    assert empty > 20


def test_by_the_index_rule_a_thin_box_has_cells_on_fine_levels_alone():
    """In 5..20 lie 1 and 2 times 8, 1 times 16 and no multiple of 32; a border on an index counts."""
    (wide, thin, border), _ = covered([(5, 5, 20, 20), (33, 33, 60, 60), (16, 16, 32, 32)], 'index')
    assert [level.sum().item() for level in wide] == [4, 1, 0, 0]
    assert [level.sum().item() for level in thin] == [9, 1, 0, 0]
    assert wide[0].nonzero().tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]
    assert [level.sum().item() for level in border] == [9, 4, 2, 0]


def test_by_overlap_every_box_has_a_cell_of_every_level():
    (one, small), _ = covered([(8, 8, 16, 16), (17, 3, 17.5, 3.2)], 'overlap')
    assert [level.sum().item() for level in one + small] == [1] * 8
    assert one[0].nonzero().tolist() == [[1, 1]]


def test_shares_are_areas():
    """Against the area of every cell's rectangle and the box's, by numpy."""
    rng = np.random.default_rng(0)
    corners = rng.uniform((0, 0), (80, 50), (40, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(0, 40, (40, 2))], 1)
    boxes[:10] = (boxes[:10] / 8).round() * 8
    maps = [torch.zeros(1, 1, -(-BATCH[0] // height), -(-BATCH[1] // width)) for width, height in STRIDES]
    cells = Cells.of(maps, STRIDES)
    found = cells.covered(box_labels([tiny.sample(BATCH, boxes.tolist())]), 'share')
    found = np.concatenate([(cover.rows[0, :, :, None] * cover.columns[0, :, None]).flatten(1) for cover in found], 1)
    whole = cells.corners.numpy()
    side = np.minimum(boxes[:, None, 2:], whole[None, :, 2:]) - np.maximum(boxes[:, None, :2], whole[None, :, :2])
    expected = side.clip(0).prod(2) / (whole[:, 2:] - whole[:, :2]).prod(1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize('side, large', [(6, False), (80, True)])
def test_parts_of_cells_count_as_parts(side, large):
    """On a large level too, which goes box by box for whole cells."""
    covered = Cover(torch.zeros(1, 2, side), torch.zeros(1, 2, side))
    covered.rows[0, 0, 1:3] = torch.tensor([0.25, 1.0])
    covered.columns[0, 0, 2:4] = torch.tensor([0.5, 1.0])
    assert (side**2 >= cells.LARGE) == large
    level = torch.zeros(1, 1, side, side)
    level[0, 0, 1:3, 2:4] = torch.tensor([[8.0, 16.0], [2.0, 4.0]])
    total = 0.125 * 8 + 0.25 * 16 + 0.5 * 2 + 4
    means = pool([level], [covered])
    torch.testing.assert_close(means, torch.tensor([[[[total / (1.25 * 1.5)], [0.0]]]]))
    written = render(torch.full((1, 1, 2, 1), 2.0), [covered])[0]
    torch.testing.assert_close(written[0, 0, 1:3, 2:4], torch.tensor([[0.25, 0.5], [1.0, 2.0]]))
    assert written.sum() == 3.75


@pytest.mark.parametrize('boxes, wide, found', [(1, 40, True), (1, 80, False), (4, 40, False)])
def test_a_large_level_goes_box_by_box_where_boxes_cover_little_of_it(boxes, wide, found):
    """A quarter of it in both of two images, all of it, and a quarter four times."""
    side = (torch.arange(80) < wide).float().expand(2, boxes, 80)
    assert 80**2 >= cells.LARGE
    assert cells.by_box(side, Cover(side, side), 0.5) == found


@pytest.mark.parametrize('rule', RULES)
def test_a_slot_without_a_box_covers_nothing(rule):
    cells = Cells.of([torch.zeros(2, 1, 4, 4)], [(8, 8)])
    labels = box_labels([tiny.sample((32, 32), [(0, 0, 20, 20), (8, 0, 8, 9)]), tiny.sample((32, 32))])
    found = cells.covered(labels, rule)
    found = found[0].cells
    assert found[0, 0].any() and not found[0, 1].any() and not found[1].any()


def covers_of(boxes, shape):
    """What random boxes (n, m) cover of a map (h, w), among them all of it and nothing."""
    sides = []
    for side in shape:
        low, high = torch.randint(side + 1, (2, *boxes)).sort(0)[0]
        low[0, 0], high[0, 0], high[-1, -1] = 0, side, low[-1, -1]
        index = torch.arange(side)
        sides.append((low[..., None] <= index) & (index < high[..., None]))
    return Cover(*sides)


@pytest.mark.parametrize('parts', [False, True], ids=['cells', 'parts of cells'])
@pytest.mark.parametrize('shape', [(5, 7), (1, 3), (2, 1)])
def test_a_convolution_of_what_was_written_without_writing_it(shape, parts):
    """The same maps and gradients as by writing and convolving."""
    torch.manual_seed(0)
    covered = [covers_of((2, 4), shape)] * 2
    if parts:
        covered = [
            Cover(*(side * torch.rand(side.shape, dtype=torch.double) for side in (some.rows, some.columns)))
            for some in covered
        ]
    vectors = torch.randn(2, 2, 4, 6, dtype=torch.double, requires_grad=True)
    weight = torch.randn(5, 6, 3, 3, dtype=torch.double, requires_grad=True)
    constant = torch.randn(2, 2, 5, dtype=torch.double, requires_grad=True)
    mine = render_convolved(vectors, covered, weight, constant)
    theirs = [
        F.conv2d(level, weight, padding=1) + plain[..., None, None]
        for level, plain in zip(render(vectors, covered), constant.unbind(1))
    ]
    given = [torch.randn_like(level) for level in theirs]
    inputs = (vectors, weight, constant)
    ways = [[*maps, *torch.autograd.grad(maps, inputs, given)] for maps in (mine, theirs)]
    for one, other in zip(*ways, strict=True):
        torch.testing.assert_close(one, other)


def test_pooling_and_writing_have_first_and_second_derivatives_either_way(monkeypatch):
    torch.manual_seed(0)
    covered = covers_of((2, 3), (4, 5))
    level = torch.randn(2, 2, 4, 5, dtype=torch.double, requires_grad=True)
    vectors = torch.randn(2, 1, 3, 2, dtype=torch.double, requires_grad=True)
    pooled, written = lambda some: pool([some], [covered]), lambda some: render(some, [covered])[0]
    for function, value in ((pooled, level), (written, vectors)):
        assert torch.autograd.gradcheck(function, value) and torch.autograd.gradgradcheck(function, value)

    def both():
        return *torch.autograd.grad(pooled(level).square().sum(), level), *torch.autograd.grad(
            written(vectors).square().sum(), vectors
        )

    before = both()  # by a product, as on another device
    monkeypatch.setattr(cells, 'LARGE', 0)
    monkeypatch.setattr(cells, 'SUMMED', float('inf'))
    monkeypatch.setattr(cells, 'WRITTEN', float('inf'))
    for function, value in ((pooled, level), (written, vectors)):
        assert torch.autograd.gradcheck(function, value) and torch.autograd.gradgradcheck(function, value)
    for one, other in zip(before, both()):
        torch.testing.assert_close(one, other)
    expected = torch.zeros_like(level)
    for image, box in ((image, box) for image in range(2) for box in range(3)):
        expected[image] += vectors[image, 0, box][:, None, None] * covered.cells[image, box].view(4, 5)
    torch.testing.assert_close(render(vectors, [covered])[0], expected)
