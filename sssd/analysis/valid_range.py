# Copyright (c) sssd contributors. Licensed under the Apache License 2.0.
"""Which sizes of objects label assignment allows, for each s (SED, Fig. 5)."""
import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from sssd.errors import UserError
from sssd.views.dense import paired_levels

from .assignment import assign

#: Sizes that are tried, in pixels: so many to an octave between the two, edges are then bisected.
LEAST, MOST, PER_OCTAVE, HALVINGS = 1.0, 8192.0, 25, 24
#: Intervals so much apart, relative to the size, are one: where two ranges only touch, rounding would part them.
TOUCHING = 1e-3
#: Cells a side of every level that a tried object may be assigned to.
CELLS = 8


@dataclass
class ValidSizes:
    """Sizes, as the square root of the area in pixels of X, whose objects can be foreground in X and X^.

    Attributes:
        shift: s; 0 is X alone.
        intervals: Ascending [low, high] pixels; high is None where no end was found up to 8192 pixels, low is 0 where
            none was found down to one.
    """

    shift: int
    intervals: list[list[float | None]]

    def share_of(self, sizes: np.ndarray) -> float | None:
        """Share of the sizes (n,) that lie in an interval; None of none."""
        if not len(sizes):
            return None
        inside = [(sizes >= low) & (sizes <= (np.inf if high is None else high)) for low, high in self.intervals]
        return float(np.any(inside, axis=0).mean()) if inside else 0.0


def strict_assigner(head: nn.Module, pos_iou: float | None = None):
    """A copy of a head's assigner without its rescue of objects that no anchor fits (``match_low_quality``).

    With the rescue every object is given its best anchor, however bad, and every size is valid.

    Args:
        head: A dense head.
        pos_iou: Another IoU from which an anchor is foreground; None keeps the assigner's.

    Returns:
        The copy, or None for a head without assigner.

    Raises:
        UserError: If there is no such IoU to change.
    """
    assigner = copy.deepcopy(getattr(head, 'assigner', None))
    if hasattr(assigner, 'match_low_quality'):
        assigner.match_low_quality = False
    if pos_iou is not None:
        if not hasattr(assigner, 'pos_iou_thr'):
            raise UserError(f'--pos-iou has no meaning for {type(head).__name__}, whose label assignment knows no IoU '
                            'from which an anchor is foreground; leave it out.')
        assigner.pos_iou_thr = pos_iou
    return assigner


def valid_sizes(head: nn.Module, shifts: Iterable[int], assigner=None) -> Iterator[ValidSizes]:
    """For each s the sizes whose objects can be foreground in both X and X^ (Fig. 5).

    "The range of valid instance is calculated according to the label assignment rule." The head's own anchors (or
    points with their ranges) and assignment are asked about squares of many sizes, each in the middle of a cell: a size
    is valid if a row is foreground in X for an object of this size, and its partner in X^ for one of 1/2**s of it.
    s = 0 is X alone.

    Args:
        head: A dense head of mmdet.
        shifts: Values of s.
        assigner: Asked in place of the head's own, such as :func:`strict_assigner`.
    """
    sizes = np.geomspace(LEAST, MOST, round(np.log2(MOST / LEAST) * PER_OCTAVE) + 1)
    for shift in shifts:
        def valid(size: float, shift=shift) -> bool:
            """Whether some paired row is foreground for this size."""
            return can_be_foreground(head, size, shift, assigner)
        yield ValidSizes(shift, intervals(valid, sizes))


@torch.no_grad()
def can_be_foreground(head: nn.Module, size: float, shift: int, assigner=None) -> bool:
    """Whether a square of ``size`` pixels in X is assigned a row whose partner in X^ it is assigned too."""
    strides = [tuple(float(side) for side in stride) for stride in head.prior_generator.strides]
    pairs = paired_levels(strides, shift)
    for here, there in pairs:
        full, small = _rows(head, here, size, assigner), _rows(head, there, size / 2**shift, assigner)
        if any((full[i] & small[j]).any() for i, j in pairs):
            return True
    return False


def _rows(head: nn.Module, level: int, size: float, assigner) -> list[Tensor]:
    """For every level whether its rows are foreground for a square in the middle of the first cell of ``level``."""
    grids = [(CELLS, CELLS)] * len(head.prior_generator.strides)
    priors = head.prior_generator.grid_priors(grids, device='cpu')[level][0]
    x, y = ((priors[:2] + priors[2:]) / 2 if len(priors) == 4 else priors).tolist()
    square = torch.tensor([[x - size / 2, y - size / 2, x + size / 2, y + size / 2]])
    return [found > 0 for found in assign(head, grids, square, assigner=assigner)]


def intervals(valid: Callable[[float], bool], sizes: np.ndarray) -> list[list[float | None]]:
    """Where ``valid`` holds, as intervals; their ends between two of ``sizes`` are found by bisection."""
    flags = [valid(size) for size in sizes]
    found, low = [], 0.0 if flags[0] else None
    for place in range(1, len(sizes)):
        if flags[place] == flags[place - 1]:
            continue
        edge = _edge(valid, sizes[place - 1], sizes[place], flags[place])
        if flags[place]:
            joined = found and edge - found[-1][1] <= TOUCHING * edge
            low = found.pop()[0] if joined else edge
        else:
            found.append([low, edge])
    return found + ([[low, None]] if flags[-1] else [])


def _edge(valid: Callable[[float], bool], left: float, right: float, after: bool) -> float:
    """Where ``valid`` becomes ``after`` between two sizes."""
    for _ in range(HALVINGS):
        middle = (left * right)**0.5
        left, right = (left, middle) if valid(middle) == after else (middle, right)
    return round(float(right if after else left), 3)
