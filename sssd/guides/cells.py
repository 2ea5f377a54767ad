"""The cells of a whole pyramid in one row, and which of them a box covers.

Masks and class maps of P levels have one dimension for all K cells, level after level, row by row. Boxes are pooled
from the maps (n, C, h_p, w_p) and written into them by one product a level, over all images and boxes.

Two rules say which cells a box covers: ``'index'``, that of LGD's public code (:meth:`Cells.indexed`), and
``'overlap'`` (:meth:`Cells.overlapped`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sssd.guides.labels import BoxLabels, host_tensor

#: Rules for the cells that a box covers.
RULES = ('index', 'overlap')


@dataclass(frozen=True)
class Cells:
    """Where the cells of a pyramid lie.

    Attributes:
        shapes: (h, w) of every level.
        size: Width and height of the padded batch in pixels: what the cells of the first, finest level fill.
        corners: (K, 4), x1 y1 x2 y2 of every cell in pixels.
        places: (K, 2), column and row of every cell in its level times the level's stride, in pixels. The stride is
            that of LGD's public code, the batch's size over the map's; where the batch is a multiple of the stride of
            the level, this is the upper left corner.
    """

    shapes: tuple[tuple[int, int], ...]
    size: tuple[int, int]
    corners: Tensor
    places: Tensor

    @classmethod
    def of(cls, features: Sequence[Tensor], strides: Sequence[tuple[int, int]]) -> 'Cells':
        """Cells of maps (n, C, h_p, w_p) whose cells are strides (w, h) pixels wide and high."""
        device = features[0].device
        shapes = tuple(tuple(level.shape[-2:]) for level in features)
        counts = [height * width for height, width in shapes]
        size = (shapes[0][1] * strides[0][0], shapes[0][0] * strides[0][1])
        # For each level: cells before it, cells in it, cells in a row of it, pixels of a cell.
        table = host_tensor(
            [[sum(counts[:level]), counts[level], shapes[level][1], *strides[level]] for level in range(len(shapes))],
            device,
        )
        spacing = host_tensor([[size[0] / width, size[1] / height] for height, width in shapes], device)
        level = torch.arange(len(shapes), device=device).repeat_interleave(table[:, 1], output_size=sum(counts))
        begin, _, row, step_x, step_y = table[level].unbind(1)
        index = torch.arange(sum(counts), device=device) - begin
        place = torch.stack([index % row, torch.div(index, row, rounding_mode='floor')], dim=1)
        left, top = place[:, 0] * step_x, place[:, 1] * step_y
        corners = torch.stack([left, top, left + step_x, top + step_y], dim=1)
        return cls(shapes, size, corners.float(), place * spacing[level])

    def indexed(self, labels: BoxLabels) -> Tensor:
        """Which cells have their column in [x1 / s, x2 / s] and their row in [y1 / s, y2 / s], s the stride: (n, m, K).

        The rule of LGD's public code. A box that is thinner than a cell may have none on a level; one without width or
        height and an empty slot have none at all.
        """
        x1, y1, x2, y2 = labels.boxes[..., None].unbind(2)
        x, y = self.places.unbind(1)
        inside = (x1 <= x) & (x <= x2) & (y1 <= y) & (y <= y2)
        return inside & (x1 < x2) & (y1 < y2) & labels.valid[..., None]

    def overlapped(self, labels: BoxLabels) -> Tensor:
        """Which cells every valid box overlaps, (n, m, K).

        So a box has at least one cell of every level, however small it is; an empty slot has none.
        """
        x1, y1, x2, y2 = labels.boxes[..., None].unbind(2)
        left, top, right, bottom = self.corners.unbind(1)
        return (x1 < right) & (x2 > left) & (y1 < bottom) & (y2 > top) & labels.valid[..., None]

    def covered(self, labels: BoxLabels, rule: str) -> list[Tensor]:
        """Which cells every valid box covers by one of :data:`RULES`, level by level: (n, m, h_p w_p)."""
        cells = self.indexed(labels) if rule == 'index' else self.overlapped(labels)
        return list(cells.split(self.counts, dim=2))

    def split(self, row: Tensor) -> list[Tensor]:
        """A row of cells (n, C, K) as maps (n, C, h_p, w_p)."""
        return [part.unflatten(2, shape) for part, shape in zip(row.split(self.counts, dim=2), self.shapes)]

    @property
    def counts(self) -> list[int]:
        """Cells of every level."""
        return [height * width for height, width in self.shapes]


def pool(features: Sequence[Tensor], covered: Sequence[Tensor]) -> Tensor:
    """Mean over the cells that a box covers, 0 where it covers none.

    Args:
        features: Maps (n, C, h_p, w_p) of P levels.
        covered: Which of their cells, (n, m, h_p w_p).

    Returns:
        (n, P, m, C).
    """
    means = []
    for level, mask in zip(features, covered, strict=True):
        level = at_least_float(level).flatten(2)
        with torch.autocast(
            level.device.type, enabled=False
        ):  # sums over a large box leave the range of half precision
            total = torch.bmm(mask.to(level.dtype), level.transpose(1, 2))
        means.append(total / mask.sum(-1, keepdim=True).clamp(min=1))
    return torch.stack(means, dim=1)


def render(vectors: Tensor, covered: Sequence[Tensor]) -> list[Tensor]:
    """Write vectors (n, P, m, C) into the cells they cover, (n, m, K_p) each; overlaps add up: (n, C, K_p) each."""
    vectors = at_least_float(vectors)
    with torch.autocast(vectors.device.type, enabled=False):
        return [
            torch.bmm(level.transpose(1, 2), mask.to(vectors.dtype))
            for level, mask in zip(vectors.unbind(1), covered, strict=True)
        ]


def at_least_float(values: Tensor) -> Tensor:
    """The values in single precision, or in double if they are."""
    return values.to(torch.promote_types(values.dtype, torch.float))
