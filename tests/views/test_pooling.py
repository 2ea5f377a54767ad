"""Pooling by bags gives what mmcv's RoIAlign gives, values and gradients."""

import contextlib
import copy

import pytest
import tiny
import torch
from mmcv.ops import RoIAlign
from mmdet.models.roi_heads.roi_extractors import GenericRoIExtractor, SingleRoIExtractor

from sssd.losses import sum_of
from sssd.views import pooling, roi
from sssd.views.pooling import quick_pooling

SHAPES = ((2, 8, 32, 40), (2, 8, 16, 20), (2, 8, 8, 10))


def extractor_of(kind=SingleRoIExtractor, **layer):
    layer = dict(dict(type='RoIAlign', output_size=7, sampling_ratio=0), **layer)
    options = dict(finest_scale=14) if kind is SingleRoIExtractor else {}  # so that every level has regions
    return kind(roi_layer=layer, out_channels=8, featmap_strides=[4, 8, 16], **options)


def regions(count=60):
    """Of all sizes, some across the border, some outside, one without extent."""
    corners = torch.rand(count, 2, dtype=torch.double) * torch.tensor([160.0, 128]) - 15
    boxes = torch.cat([corners, corners + torch.rand(count, 2, dtype=torch.double) ** 2 * 170], 1)
    odd = [[0, 0, 160, 128], [-90, -90, -60, -60], [200, 10, 300, 40], [20, 20, 20, 20], [0, 0, 28, 28]]
    boxes = torch.cat([boxes, torch.tensor(odd, dtype=torch.double)])
    return torch.cat([torch.arange(len(boxes), dtype=torch.double)[:, None] % 2, boxes], 1)


def both(extractor, rois, dtype=torch.double, **options):
    """(pooled, gradients of the maps) by mmcv and by bags."""
    torch.manual_seed(1)
    maps = [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in SHAPES]
    given, found = None, []
    for context in (contextlib.nullcontext(), quick_pooling(extractor)):
        with context:
            pooled = extractor(maps, rois.to(dtype), **options)
        given = torch.randn_like(pooled) if given is None else given
        found.append((pooled.detach(), *torch.autograd.grad(pooled, maps, given)))
    return found


@pytest.mark.parametrize('ratio', [0, 1, 2])
@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('size', [7, (2, 5)])
def test_values_and_gradients(ratio, aligned, size):
    extractor = extractor_of(sampling_ratio=ratio, aligned=aligned, output_size=size)
    mmcv, bags = both(extractor, regions())
    assert mmcv[0].abs().sum() > 0 and all(gradient.abs().sum() > 0 for gradient in mmcv[1:])
    for one, other in zip(mmcv, bags):
        torch.testing.assert_close(other, one, rtol=0, atol=1e-10)


def test_in_single_precision_and_with_enlarged_regions():
    for options in ({}, dict(roi_scale_factor=1.3)):
        mmcv, bags = both(extractor_of(), regions(), torch.float, **options)
        for one, other in zip(mmcv, bags):
            assert (one - other).norm() < 1e-5 * one.norm()


def test_of_one_level_regions_are_not_enlarged_as_in_mmdet():
    layer = dict(type='RoIAlign', output_size=7, sampling_ratio=0)
    extractor = SingleRoIExtractor(roi_layer=layer, out_channels=8, featmap_strides=[4])
    level, rois = torch.randn(SHAPES[0], dtype=torch.double), regions()
    pooled = extractor([level], rois, roi_scale_factor=1.3)
    with quick_pooling(extractor):
        torch.testing.assert_close(extractor([level], rois, roi_scale_factor=1.3), pooled, rtol=0, atol=1e-10)


def test_a_region_that_is_no_number_is_zero_as_in_mmdet():
    rois = regions(3)
    rois[1, 1] = torch.nan
    maps = [torch.randn(shape, dtype=torch.double) for shape in SHAPES]
    with quick_pooling(extractor := extractor_of()):
        pooled = extractor(maps, rois)
    assert not pooled[1].any() and pooled[[0, 2]].abs().sum() > 0
    torch.testing.assert_close(pooled, extractor(maps, rois), rtol=0, atol=1e-10)


def test_long_regions_do_not_make_all_others_large(monkeypatch):
    """All bins that are made at once have room for as many cells as the largest: 14 times the memory by two regions."""
    rooms, along = [], pooling.along

    def counted(*args):
        cells, weights = along(*args)
        rooms.append(cells.shape)
        return cells, weights

    monkeypatch.setattr(pooling, 'along', counted)
    extractor = extractor_of(output_size=4)
    extractor.finest_scale = 1000  # all from the first level
    few = torch.tensor([[0.0, 0, 60, 160, 63], [0.0, 60, 0, 63, 128]])
    many = torch.cat([torch.tensor([[0.0, 5, 5, 25, 25]]).repeat(200, 1), few])
    room = []
    for rois in (many[:200], many):
        rooms.clear()
        with quick_pooling(extractor):
            extractor([torch.randn(shape) for shape in SHAPES], rois)
        room.append(
            sum(number * bins * rows * bins * columns for (number, bins, rows), (_, _, columns) in pairs(rooms))
        )
    assert room[1] < 1.1 * room[0]


def pairs(items):
    return list(zip(items[::2], items[1::2]))


@pytest.mark.parametrize('count', [0, 1])
def test_levels_without_regions_have_gradients_of_zero(count):
    rois = torch.tensor([[1.0, 0, 0, 20, 20]])[:count]
    mmcv, bags = both(extractor_of(), rois.double())
    assert bags[0].shape == (count, 8, 7, 7) and bags[1].any() == bool(count)
    for one, other in zip(mmcv, bags):
        torch.testing.assert_close(other, one, rtol=0, atol=1e-10)


def test_half_precision_is_summed_in_single():
    maps, rois = [torch.randn(shape).bfloat16() for shape in SHAPES], regions().float()
    with quick_pooling(extractor := extractor_of()):
        pooled = extractor(maps, rois)
    exact = extractor([level.float() for level in maps], rois)
    assert pooled.dtype == torch.bfloat16
    torch.testing.assert_close(pooled.float(), exact, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize('extractor', [extractor_of(pool_mode='max'), extractor_of(GenericRoIExtractor)])
def test_others_are_left_alone(extractor):
    forward = extractor.forward
    with quick_pooling(extractor):
        assert extractor.forward == forward


def test_it_ends_with_its_context():
    extractor = extractor_of()
    with pytest.raises(ZeroDivisionError), quick_pooling(extractor):
        assert 'forward' in vars(extractor)
        raise ZeroDivisionError
    assert 'forward' not in vars(extractor)


def test_a_step_of_sed_pools_by_bags_with_equal_gradients(monkeypatch):
    model = tiny.build_sed(tiny.faster_rcnn())
    other, batch, calls = copy.deepcopy(model), tiny.make_batch(), []
    bags = pooling.bags_of
    monkeypatch.setattr(pooling, 'bags_of', lambda *args: calls.append(args) or bags(*args))
    gradients = []
    for one in (model, other):
        torch.manual_seed(0)
        sum_of(tiny.losses_of(one, batch)).backward()
        gradients.append({name: value.grad for name, value in one.named_parameters() if value.grad is not None})
        count = len(calls)
        monkeypatch.setattr(roi, 'quick_pooling', lambda extractor: contextlib.nullcontext())
    assert count == len(calls) > 4
    for name, value in gradients[0].items():
        assert (value - gradients[1][name]).norm() <= 1e-5 * value.norm() + 1e-7, name
    assert isinstance(model.student.roi_head.bbox_roi_extractor.roi_layers[0], RoIAlign)
