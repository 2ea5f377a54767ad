"""The cells of a pyramid, and which of them a box covers.

A box covers those cells whose row and whose column it covers, by one of three rules: ``'index'``, that of LGD's public
code, ``'overlap'``, and ``'share'``, by which it covers a part of a cell (:meth:`Cells.covered`). Boxes are pooled from
the maps (n, C, h_p, w_p) of a pyramid and written into them level by level, over all images and boxes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from sssd.guides.labels import BoxLabels, host_tensor

#: Rules for the cells that a box covers.
RULES = ('index', 'overlap', 'share')
#: From so many cells on, a level on a CPU goes box by box where boxes cover little of it.
LARGE = 5000
#: What part of such a level boxes may cover, overlaps counted, before one product is as fast: as sums, and as writing.
SUMMED, WRITTEN = 3 / 4, 1 / 3
#: A box that covers less of a level than this part of one cell counts as covering so much.
LEAST = 1e-6


@dataclass(frozen=True)
class Cover:
    """What n x m boxes cover of one level: the cells where a row and a column that they cover cross.

    Attributes:
        rows: (n, m, h) of booleans, or from 0 to 1 what part of each is covered.
        columns: (n, m, w).
    """

    rows: Tensor
    columns: Tensor

    @property
    def counts(self) -> Tensor:
        """How many cells each box covers, parts of cells added up, (n, m)."""
        return self.rows.sum(-1) * self.columns.sum(-1)

    @cached_property
    def mask(self) -> Tensor:
        """What part of each cell is covered, (n, m, h w); made once for pooling, writing and their backward passes."""
        return (self.rows[..., None] * self.columns[:, :, None]).flatten(2)

    @property
    def cells(self) -> Tensor:
        """Which cells, wholly or in part, (n, m, h w)."""
        return self.mask > 0

    def to(self, dtype: torch.dtype) -> 'Cover':
        """The same in numbers: 1 and 0, or the parts."""
        return self if self.rows.dtype == dtype else Cover(self.rows.to(dtype), self.columns.to(dtype))

    def without_first(self) -> 'Cover':
        """That of all boxes but the first of each image."""
        return Cover(self.rows[:, 1:], self.columns[:, 1:])

    def with_whole_first(self) -> 'Cover':
        """The same, but the first box of each image covers the whole level."""
        sides = (self.rows, self.columns)
        return Cover(*(torch.cat([torch.ones_like(side[:, :1]), side[:, 1:]], dim=1) for side in sides))

    def windows(self) -> 'Cover':
        """The same for every tap of a 3x3 convolution: (n, m, 3, h) and (n, m, 3, w).

        Where tap t of an output cell looks, rows or columns t - 1 further on; there is nothing beyond the map.
        """
        return Cover(*(F.pad(side, (1, 1)).unfold(-1, side.shape[-1], 1) for side in (self.rows, self.columns)))


class Axis(NamedTuple):
    """All rows, or all columns, of all levels, level after level, in pixels.

    Attributes:
        begin: Where each begins.
        end: Where it ends.
        place: Its index in its level times the level's stride. The stride is that of LGD's public code, the batch's
            size over the map's; where the batch is a multiple of the stride of the level, this is ``begin``.
    """

    begin: Tensor
    end: Tensor
    place: Tensor

    @classmethod
    def of(cls, counts: Sequence[int], strides: Sequence[int], device: torch.device) -> 'Axis':
        """The axis of levels of so many rows, a stride of pixels each."""
        size = counts[0] * strides[0]
        table = [
            (index * stride, (index + 1) * stride, index * size / count)
            for count, stride in zip(counts, strides)
            for index in range(count)
        ]
        return cls(*host_tensor(table, device).float().unbind(1))

    def covered(self, low: Tensor, high: Tensor, rule: str) -> Tensor:
        """Which rows, or what part of each, the intervals from low to high (n, m) cover: (n, m, rows)."""
        low, high = low[..., None], high[..., None]
        if rule == 'share':
            inside = torch.minimum(high, self.end) - torch.maximum(low, self.begin)
            return inside.clamp(min=0) / (self.end - self.begin)
        if rule == 'index':
            return (low <= self.place) & (self.place <= high) & (low < high)
        return (low < self.end) & (high > self.begin)


@dataclass(frozen=True)
class Cells:
    """Where the cells of a pyramid lie.

    Attributes:
        shapes: (h, w) of every level.
        size: Width and height of the padded batch in pixels: what the cells of the first, finest level fill.
        rows: The rows of all levels.
        columns: Their columns.
    """

    shapes: tuple[tuple[int, int], ...]
    size: tuple[int, int]
    rows: Axis
    columns: Axis

    @classmethod
    def of(cls, features: Sequence[Tensor], strides: Sequence[tuple[int, int]]) -> 'Cells':
        """Cells of maps (n, C, h_p, w_p) whose cells are strides (w, h) pixels wide and high."""
        shapes = tuple(tuple(level.shape[-2:]) for level in features)
        heights, widths = zip(*shapes)
        across, down = zip(*strides)
        device = features[0].device
        size = (widths[0] * across[0], heights[0] * down[0])
        return cls(shapes, size, Axis.of(heights, down, device), Axis.of(widths, across, device))

    def covered(self, labels: BoxLabels, rule: str) -> list[Cover]:
        """What every valid box covers of every level; an empty slot covers nothing.

        Args:
            labels: Boxes of n images in m slots.
            rule: ``'index'``, the rule of LGD's public code: rows in [y1 / s, y2 / s] and columns in
                [x1 / s, x2 / s], s the stride. A box that is thinner than a cell may have none on a level; one without
                width or height has none at all. Or ``'overlap'``: every cell that the box overlaps, so that it has
                at least one of every level, however small it is. Or ``'share'``: of every cell the part that lies in
                the box, so that a map tells where its sides are within a cell.
        """
        x1, y1, x2, y2 = labels.boxes.unbind(2)
        rows, columns = self.rows.covered(y1, y2, rule).float(), self.columns.covered(x1, x2, rule).float()
        rows, (heights, widths) = rows * labels.valid[..., None], zip(*self.shapes)
        return [Cover(*parts) for parts in zip(rows.split(heights, dim=2), columns.split(widths, dim=2))]

    def overlapped(self, labels: BoxLabels) -> Tensor:
        """Which cells of all levels every valid box overlaps, (n, m, K)."""
        return torch.cat([cover.cells for cover in self.covered(labels, 'overlap')], dim=2)

    @property
    def corners(self) -> Tensor:
        """x1 y1 x2 y2 of every cell of all levels in pixels, row by row, (K, 4)."""
        (heights, widths), levels = zip(*self.shapes), []
        across = zip(self.columns.begin.split(widths), self.columns.end.split(widths))
        down = zip(self.rows.begin.split(heights), self.rows.end.split(heights))
        for shape, (left, right), (top, bottom) in zip(self.shapes, across, down):
            sides = [side.expand(shape) for side in (left, top[:, None], right, bottom[:, None])]
            levels.append(torch.stack(sides, dim=2).flatten(0, 1))
        return torch.cat(levels)

    def split(self, row: Tensor) -> list[Tensor]:
        """A row of cells (n, C, K) as maps (n, C, h_p, w_p)."""
        counts = [height * width for height, width in self.shapes]
        return [part.unflatten(2, shape) for part, shape in zip(row.split(counts, dim=2), self.shapes)]


def pool(features: Sequence[Tensor], covered: Sequence[Cover]) -> Tensor:
    """Mean over the cells that a box covers, by what part of each it covers; 0 where it covers none.

    Args:
        features: Maps (n, C, h_p, w_p) of P levels.
        covered: Which of their cells n x m boxes cover.

    Returns:
        (n, P, m, C).
    """
    means = []
    for level, cover in zip(features, covered, strict=True):
        level = at_least_float(level)
        total = summed(level, cover.to(level.dtype))
        means.append(total / cover.counts[..., None].clamp(min=LEAST))
    return torch.stack(means, dim=1)


def render(vectors: Tensor, covered: Sequence[Cover]) -> list[Tensor]:
    """Write vectors (n, P, m, C) into the cells that boxes cover, or a part of them; overlaps add up.

    Maps (n, C, h_p, w_p).
    """
    levels = at_least_float(vectors).unbind(1)
    return [written(level, cover.to(level.dtype)) for level, cover in zip(levels, covered, strict=True)]


def summed(level: Tensor, cover: Cover) -> Tensor:
    """Sums (n, m, C) of a map (n, C, h, w) over the cells of boxes; its backward pass is :func:`written`.

    Box by box where that is faster (:func:`by_box`); elsewhere by a product with the mask of boxes times cells, which
    needs no look at the boxes, for which one would wait on a device.
    """
    if by_box(level, cover, SUMMED):
        return _Sums.apply(level, cover.rows, cover.columns)
    with exact(level):
        return torch.bmm(level.flatten(2), cover.mask.transpose(1, 2)).transpose(1, 2)


def written(vectors: Tensor, cover: Cover) -> Tensor:
    """Vectors (n, m, C) in the cells of boxes, a map (n, C, h, w); its backward pass is :func:`summed`."""
    if by_box(vectors, cover, WRITTEN):
        return _Written.apply(vectors, cover.rows, cover.columns)
    with exact(vectors):
        maps = torch.bmm(vectors.transpose(1, 2), cover.mask)
    return maps.unflatten(2, (cover.rows.shape[2], cover.columns.shape[2]))


class _Sums(torch.autograd.Function):
    """:func:`summed`, box by box."""

    @staticmethod
    def forward(ctx, level: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """The sums."""
        ctx.save_for_backward(rows, columns)
        sums = level.new_zeros(*rows.shape[:2], level.shape[1])
        for image, box, *window in windows(rows, columns):
            sums[image, box] = level[(image, slice(None), *window)].sum(1).sum(1)  # rows first: lines add up whole
        return sums

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:
        """What every sum has, in its cells."""
        return written(grad, Cover(*ctx.saved_tensors)), None, None


class _Written(torch.autograd.Function):
    """:func:`written`, box by box."""

    @staticmethod
    def forward(ctx, vectors: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """The map."""
        ctx.save_for_backward(rows, columns)
        level = vectors.new_zeros(len(vectors), vectors.shape[2], rows.shape[2], columns.shape[2])
        for image, box, *window in windows(rows, columns):
            level[(image, slice(None), *window)] += vectors[image, box, :, None, None]
        return level

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:
        """The sum over the cells of every vector."""
        return summed(grad, Cover(*ctx.saved_tensors)), None, None


def by_box(values: Tensor, cover: Cover, part: float) -> bool:
    """Whether a level goes box by box: a large one on a CPU, of which boxes cover whole cells, less than this part."""
    rows, columns = cover.rows, cover.columns
    cells = rows.shape[2] * columns.shape[2]
    if not on_host(values) or cells < LARGE or cover.counts.sum() >= part * len(rows) * cells:
        return False
    return all(bool(((side == 0) | (side == 1)).all()) for side in (rows, columns))


def on_host(values: Tensor) -> bool:
    """Whether values can be looked at without waiting: they lie in the host's memory, and exist (no fake tensors)."""
    return type(values) is Tensor and values.device.type == 'cpu' and not torch.compiler.is_compiling()


def windows(rows: Tensor, columns: Tensor) -> Iterator[tuple[int, int, slice, slice]]:
    """Image, slot, rows and columns of every box that covers a cell."""
    table = torch.stack([value for part in (rows, columns) for value in (part.argmax(-1), part.sum(-1).long())], dim=-1)
    for image, boxes in enumerate(table.tolist()):
        for box, (top, height, left, width) in enumerate(boxes):
            if height and width:
                yield image, box, slice(top, top + height), slice(left, left + width)


def render_convolved(vectors: Tensor, covered: Sequence[Cover], weight: Tensor, constant: Tensor) -> list[Tensor]:
    """What a 3x3 convolution makes of the maps of :func:`render`, without these maps.

    Such a map is one vector throughout a box, times a number for the row and one for the column, so the convolution's
    products are taken once a box and tap, and what comes out is written where that tap sees the box: 3 m products a
    cell and channel instead of 9 C. Of its lines (n, 3 m, C h) there are more numbers than of the map where 3 m is
    above w.

    Args:
        vectors: (n, P, m, C).
        covered: Which cells they are written into.
        weight: Of the convolution, (C', C, 3, 3).
        constant: What is added to all cells of a level, (n, P, C').

    Returns:
        Maps (n, C', h_p, w_p) in the precision that the convolution has.
    """
    taps = F.linear(vectors, weight.permute(3, 0, 2, 1).flatten(0, 2))  # (n, P, m, 3 across x C' x 3 down)
    dtype, taps, constant = taps.dtype, at_least_float(taps), at_least_float(constant)
    maps = []
    for level, everywhere, cover in zip(taps.unbind(1), constant.unbind(1), covered, strict=True):
        looks, height = cover.to(taps.dtype).windows(), cover.rows.shape[-1]
        with exact(taps):
            lines = torch.bmm(level.reshape(-1, 3 * weight.shape[0], 3), looks.rows.flatten(0, 1))
        lines = lines.view(len(level), -1, weight.shape[0] * height)
        plain = everywhere[..., None].expand(*everywhere.shape, height).flatten(1)[:, None]
        columns = F.pad(looks.columns.flatten(1, 2), (0, 0, 0, 1), value=1.0)
        maps.append(crossed(torch.cat([lines, plain], dim=1), columns, height).to(dtype))
    return maps


def crossed(lines: Tensor, columns: Tensor, height: int) -> Tensor:
    """Sum of k lines (n, k, C h), each written into its columns (n, k, w): (n, C, h, w)."""
    with exact(lines):
        return torch.bmm(lines.transpose(1, 2), columns).unflatten(1, (-1, height))


def exact(values: Tensor) -> torch.autocast:
    """Without autocast: sums over a large box, and overlaps, leave the range of half precision."""
    return torch.autocast(values.device.type, enabled=False)


def at_least_float(values: Tensor) -> Tensor:
    """The values in single precision, or in double if they are."""
    return values.to(torch.promote_types(values.dtype, torch.float))
