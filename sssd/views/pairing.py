"""Which rows of a dense head pair over scales: on a pyramid level by level, on a single map anchor by anchor."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sssd.views.single_map import base_anchors, same_anchors

#: Anchors of a cell: their places, or all of them.
Anchors = list[int] | slice
ALL = slice(None)


class Pairing(NamedTuple):
    """A level of X and the one of X^ that it pairs with: cell (step i, step j) of X with cell (i, j) of X^.

    Attributes:
        level: Place of the level in X.
        partner: Place of its partner in X^.
        step: 1 on a pyramid; 2**s on a single map, where X^ has the coarser grid.
        anchors: Anchors of a cell of X that have a partner.
        partners: Those partners, anchors of a cell of X^, in the same order.
    """

    level: int
    partner: int
    step: int = 1
    anchors: Anchors = ALL
    partners: Anchors = ALL

    def of_full(self, rows: Tensor, grid: tuple[int, int]) -> Tensor:
        """The rows of X that pair, of all rows (B, HWA, ...) of ``level``, whose grid is (H, W)."""
        return pick(rows, grid, self.step, self.anchors)

    def of_small(self, rows: Tensor, grid: tuple[int, int]) -> Tensor:
        """Their partners, of all rows (B, HWA, ...) of ``partner``, whose grid is (H, W)."""
        return pick(rows, grid, 1, self.partners)


def pick(rows: Tensor, grid: tuple[int, int], step: int, anchors: Anchors) -> Tensor:
    """The rows (B, HWA, ...) of these anchors in every ``step``-th cell in both directions."""
    cells = rows.unflatten(1, (*grid, -1))[:, ::step, ::step]
    if anchors != ALL:  # indexing by a list would wait for the device
        cells = cells.index_select(3, torch.tensor(anchors).to(rows.device, non_blocking=True))
    return cells.flatten(1, 3)


def pairings(head: nn.Module, shift: int) -> list[Pairing]:
    """What of a dense head pairs if X^ is 1/2**shift of X; nothing where no level or anchor has a partner."""
    strides = strides_of(head)
    if len(strides) > 1:
        return [Pairing(*places) for places in paired_levels(strides, shift)]
    anchors, partners = same_anchors(base_anchors(head), shift)
    return [Pairing(0, 0, 2**shift, anchors, partners)] if anchors else []


def strides_of(head: nn.Module) -> list[tuple[float, float]]:
    """Strides (w, h) of a head's levels."""
    return [tuple(float(side) for side in stride) for stride in head.prior_generator.strides]


def paired_levels(strides: Sequence[tuple[float, float]], shift: int) -> list[tuple[int, int]]:
    """Levels that pair over scales: (i, j) where level i of X and level j of X^ cover the same pixels with a cell.

    Args:
        strides: Strides (w, h) of the levels, the same for X and X^.
        shift: X^ is 1/2**shift of X.
    """
    places = {tuple(stride): place for place, stride in enumerate(strides)}
    partners = [places.get(tuple(side / 2**shift for side in stride)) for stride in strides]
    return [(place, partner) for place, partner in enumerate(partners) if partner is not None]
