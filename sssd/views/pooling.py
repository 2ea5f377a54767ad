"""RoIAlign on a CPU as sums of weighted cells: the values of mmcv's operator, many times as fast.

mmcv's operator for CPUs goes through the map channel by channel. Its mean over the samples of a bin, each between four
cells, is a weighted sum of cells, the weight being that of the row times that of the column. So a bin is a bag of cells
(of all their channels, which lie together) and ``torch.nn.functional.embedding_bag`` sums it; in the backward pass a
cell is a bag of bins. On other devices the extractor's own operator is called.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmcv.ops import RoIAlign
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


@contextmanager
def quick_pooling(extractor: nn.Module) -> Iterator[None]:
    """Within it, an extractor that pools by RoIAlign's means pools by bags where its maps are on a CPU."""
    if (
        type(extractor) is not SingleRoIExtractor
        or not all(map(means, extractor.roi_layers))
        or 'forward' in vars(extractor)
    ):
        yield
        return
    extractor.forward = partial(pool, extractor)
    try:
        yield
    finally:
        del extractor.forward


def means(layer: nn.Module) -> bool:
    """Whether a layer is mmcv's RoIAlign with means over samples."""
    return type(layer) is RoIAlign and layer.pool_mode == 'avg' and not layer.use_torchvision


def pool(
    extractor: SingleRoIExtractor, feats: Sequence[Tensor], rois: Tensor, roi_scale_factor: float | None = None
) -> Tensor:
    """What an extractor gives: each region pooled from the level of its size.

    Args:
        extractor: Of which levels, layers and output size are taken.
        feats: Maps (B, C, H, W) of its levels.
        rois: Image and corners in pixels (N, 5).
        roi_scale_factor: As in mmdet: regions are enlarged by it after their level is chosen.

    Returns:
        (N, C, h, w), of the maps' type.
    """
    if feats[0].device.type != 'cpu' or torch.compiler.is_compiling():
        return SingleRoIExtractor.forward(extractor, feats, rois, roi_scale_factor)
    precision = torch.promote_types(feats[0].dtype, torch.float32)
    rois = rois.to(precision)
    places = extractor.map_roi_levels(rois, len(feats))
    if roi_scale_factor is not None and len(feats) > 1:  # mmdet enlarges none where there is one level
        rois = extractor.roi_rescale(rois, roi_scale_factor)
    maps = [level.to(precision) for level in feats]
    return BagRoIAlign.apply(rois, places, list(extractor.roi_layers), *maps).to(feats[0].dtype)


class Bags(NamedTuple):
    """Bins of regions as sums of cells: for each entry the bin, the cell, and its weight; all (E,), bin by bin."""

    bins: Tensor
    cells: Tensor
    weights: Tensor


class BagRoIAlign(torch.autograd.Function):
    """Regions pooled from the maps of several levels; the regions alone are kept for the backward pass."""

    @staticmethod
    def forward(ctx, rois: Tensor, places: Tensor, layers: list[RoIAlign], *feats: Tensor) -> Tensor:
        """(N, C, h, w) of regions (N, 5), each from the level at its place (N,)."""
        ctx.save_for_backward(rois, places)
        ctx.layers, ctx.shapes = layers, [level.shape for level in feats]
        pooled = feats[0].new_zeros(len(rois), feats[0].shape[1], *layers[0].output_size)
        for place, (layer, level) in enumerate(zip(layers, feats)):
            rows, size = None, layer.output_size
            for here in alike(rois, places == place, layer):
                rows = rows_of(level) if rows is None else rows
                bags = bags_of(rois[here], level.shape, layer)
                sums = summed(rows, bags.cells, bags.bins, bags.weights, len(here) * size[0] * size[1])
                pooled[here] = sums.view(-1, *size, level.shape[1]).permute(0, 3, 1, 2)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output: Tensor) -> tuple:
        """Gradients of the maps."""
        rois, places = ctx.saved_tensors
        found = []
        for place, (layer, shape) in enumerate(zip(ctx.layers, ctx.shapes)):
            if not ctx.needs_input_grad[3 + place]:
                found.append(None)
                continue
            here = list(alike(rois, places == place, layer))
            if not here:
                found.append(grad_output.new_zeros(shape))
                continue
            bags = joined([bags_of(rois[group], shape, layer) for group in here], layer, [len(group) for group in here])
            cells, order = bags.cells.sort(stable=True)
            count, channels, height, width = shape
            rows = rows_of(grad_output[torch.cat(here)])
            sums = summed(rows, bags.bins[order], cells, bags.weights[order], count * height * width)
            found.append(sums.view(count, height, width, channels).permute(0, 3, 1, 2).contiguous())
        return None, None, None, *found


def alike(rois: Tensor, here: Tensor, layer: RoIAlign) -> Iterator[Tensor]:
    """Places of those regions (N, 5) that are ``here`` (N,), in groups whose bins span about as many cells.

    All bins of a group are given room for as many cells as its largest has: one long region would make all others as
    large.
    """
    here = here.nonzero()[:, 0]
    height, width = layer.output_size
    sides = (rois[here][:, [4, 3]] - rois[here][:, [2, 1]]) * layer.spatial_scale
    spans = (sides / sides.new_tensor([height, width])).clamp(min=1).log2().div(2).ceil()  # 1, 4, 16 ... cells
    for kind in spans.unique(dim=0):
        yield here[(spans == kind).all(1)]


def joined(groups: Sequence[Bags], layer: RoIAlign, counts: Sequence[int]) -> Bags:
    """The bags of groups of so many regions as those of one."""
    size, begin, bins = layer.output_size[0] * layer.output_size[1], 0, []
    for group, count in zip(groups, counts):
        bins.append(group.bins + begin * size)
        begin += count
    return Bags(torch.cat(bins), *(torch.cat(parts) for parts in list(zip(*groups))[1:]))


def rows_of(maps: Tensor) -> Tensor:
    """Maps (B, C, H, W) as rows (B H W, C), each of which lies together."""
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1]).contiguous()


def summed(rows: Tensor, entries: Tensor, bags: Tensor, weights: Tensor, count: int) -> Tensor:
    """Weighted sums (count, C) of rows (R, C): entry e adds ``rows[entries[e]]`` to bag ``bags[e]``, in their order."""
    sizes = torch.bincount(bags, minlength=count)
    return F.embedding_bag(entries, rows, sizes.cumsum(0) - sizes, mode='sum', per_sample_weights=weights)


def bags_of(rois: Tensor, shape: Sequence[int], layer: RoIAlign) -> Bags:
    """The cells of each bin of regions (N, 5) on a map of a shape (B, C, H, W); those of no weight are left out."""
    _, _, height, width = shape
    corners = rois[:, 1:] * layer.spatial_scale - (0.5 if layer.aligned else 0.0)
    sides = corners[:, 2:] - corners[:, :2]
    if not layer.aligned:
        sides = sides.clamp(min=1)
    rows, down = along(corners[:, 1], sides[:, 1], height, layer.output_size[0], layer.sampling_ratio)
    columns, across = along(corners[:, 0], sides[:, 0], width, layer.output_size[1], layer.sampling_ratio)
    rows = rows + height * rois[:, 0].long()[:, None, None]
    cells = (rows * width)[:, :, None, :, None] + columns[:, None, :, None, :]
    weights = down[:, :, None, :, None] * across[:, None, :, None, :]
    cells, weights = cells.flatten(0, 2).flatten(1), weights.flatten(0, 2).flatten(1)
    used = weights != 0
    return Bags(used.nonzero()[:, 0], cells[used], weights[used])


def along(low: Tensor, side: Tensor, count: int, bins: int, ratio: int) -> tuple[Tensor, Tensor]:
    """Cells and weights of the bins of regions along one axis.

    A sample between two cells takes the nearer one more; one up to a cell outside takes the outermost, one further
    outside is 0. The weight of a cell is its mean over the samples of a bin, ``ratio`` of them, or for 0 one a cell.

    Args:
        low: Where regions begin (N,), in cells.
        side: How long they are (N,).
        count: Cells of the map.
        bins: Bins of a region.
        ratio: Samples of a bin, or 0.

    Returns:
        Cells (N, bins, T) and weights (N, bins, T), T being the most cells that a bin touches.
    """
    size = (side / bins)[:, None, None]
    samples = torch.full_like(size, ratio) if ratio > 0 else size.ceil()
    number = torch.arange(int(samples.max().clamp(min=1)), device=low.device)
    at = low[:, None, None] + torch.arange(bins, device=low.device)[:, None] * size
    at = at + (number + 0.5) * (size / samples.clamp(min=1))
    counts = (number < samples) & (at >= -1) & (at <= count)
    at = torch.where(counts, at, at[..., :1]).clamp(0, count - 1)  # those that do not count lie among those that do
    first = at.amin(-1).floor()
    cells = first[..., None] + torch.arange(int((at.amax(-1) - first).max()) + 2, device=low.device)
    near = (1 - (cells[..., None, :] - at[..., None]).abs()).clamp(min=0)
    weights = (near * (counts / samples.clamp(min=1))[..., None]).sum(-2)
    return cells.long().clamp(max=count - 1), weights
