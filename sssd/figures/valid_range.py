"""Which sizes of objects label assignment allows, for each s (SED, Fig. 5)."""

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from sssd.errors import UserError
from sssd.figures.assignment import assign
from sssd.views.pairing import Pairing, pairings, strides_of

#: Sizes that are tried, in pixels: so many to an octave between the two, edges are then bisected. A gap below the 3 %
#: between two of them may be missed; ATSS has such between its levels.
LEAST, MOST, PER_OCTAVE, HALVINGS = 1.0, 8192.0, 25, 14
#: Intervals so much apart, relative to the size, are one: where two ranges only touch, rounding would part them.
TOUCHING = 1e-3
#: A tried object may be assigned to its own cell of every level and to so many in each direction.
REACH = 3


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


def assigner_of(head: nn.Module, low_quality: bool = False, pos_iou: float | None = None):
    """A copy of a head's assigner, as a rule without its rescue of objects that no anchor fits (``match_low_quality``).

    With the rescue an object is given its best anchor, however bad, and nearly every size is valid.

    Args:
        head: A dense head.
        low_quality: Whether the rescue stays as the head has it.
        pos_iou: Another IoU from which an anchor is foreground; None keeps the assigner's.

    Returns:
        The copy, or None for a head without assigner.

    Raises:
        UserError: If there is no such IoU to change, or it is none.
    """
    assigner = copy.deepcopy(getattr(head, 'assigner', None))
    if hasattr(assigner, 'match_low_quality') and not low_quality:
        assigner.match_low_quality = False
    if pos_iou is None:
        return assigner
    if not hasattr(assigner, 'pos_iou_thr'):
        raise UserError(
            f'--pos-iou has no meaning for {type(head).__name__}, whose label assignment knows no IoU '
            'from which an anchor is foreground; leave it out.'
        )
    if not 0 < pos_iou <= 1:
        raise UserError(f'--pos-iou is {pos_iou}, but an IoU lies in (0, 1].')
    assigner.pos_iou_thr = pos_iou
    return assigner


def valid_sizes(head: nn.Module, shifts: Iterable[int], assigner=None) -> Iterator[ValidSizes]:
    """For each s the sizes whose objects can be foreground in both X and X^ (Fig. 5).

    "The range of valid instance is calculated according to the label assignment rule." The head's own anchors (or
    points with their ranges) and assignment are asked about squares of many sizes, each in the middle of a cell that
    has a partner: a size is valid if a row is foreground in X for an object of this size, and its partner in X^ for one
    of 1/2**s of it. s = 0 is X alone.

    Args:
        head: A dense head of mmdet.
        shifts: Values of s.
        assigner: Asked in place of the head's own, such as :func:`assigner_of`.
    """
    rule = LabelRule(head, assigner)
    sizes = np.geomspace(LEAST, MOST, round(np.log2(MOST / LEAST) * PER_OCTAVE) + 1)
    for shift in shifts:
        yield ValidSizes(shift, intervals(partial(rule.allows, shift=shift), sizes))


class LabelRule:
    """What label assignment does with single squares; answers are kept, since every s asks about the same sizes.

    Args:
        head: A dense head of mmdet.
        assigner: Asked in place of the head's own; None is the head's own.
    """

    def __init__(self, head: nn.Module, assigner=None) -> None:
        self.head, self.assigner, self.kept, self.strides = head, assigner, {}, strides_of(head)
        side = 2 * REACH + 1
        self.priors = head.prior_generator.grid_priors([(side, side)] * len(self.strides), device='cpu')
        first = torch.stack([level[0] for level in self.priors])
        self.middles = ((first[:, :2] + first[:, 2:]) / 2 if first.shape[1] == 4 else first).tolist()

    def allows(self, size: float, shift: int) -> bool:
        """Whether a square of ``size`` pixels in X is assigned a row whose partner in X^ it is assigned too."""
        pairs = pairings(self.head, shift)
        for pair in pairs:
            full, small = self.rows(pair.level, size), self.rows(pair.partner, size / 2**shift)
            if any(both(full[each.level], small[each.partner], each) for each in pairs):
                return True
        return False

    @torch.no_grad()
    def rows(self, level: int, size: float) -> list[Tensor]:
        """Whether rows are foreground for a square in the middle of the first cell of ``level``.

        For every level those of the cells around the square, (2 REACH + 1, 2 REACH + 1, A).
        """
        key = (level, round(math.log2(size), 9))
        if key not in self.kept:
            x, y = self.middles[level]
            square = torch.tensor([[x - size / 2, y - size / 2, x + size / 2, y + size / 2]], dtype=torch.float)
            around = [
                priors + self.offset(x, y, stride).repeat(priors.shape[1] // 2)
                for priors, stride in zip(self.priors, self.strides)
            ]
            side = 2 * REACH + 1
            self.kept[key] = [
                (found > 0).reshape(side, side, -1)
                for found in assign(self.head, around, square, assigner=self.assigner)
            ]
        return self.kept[key]

    def offset(self, x: float, y: float, stride: tuple[float, float]) -> Tensor:
        """How far the first cells of a level are from those around (x, y), (2,)."""
        return torch.tensor([(math.floor(at / side + 1e-6) - REACH) * side for at, side in zip((x, y), stride)])


def both(full: Tensor, small: Tensor, pair: Pairing) -> bool:
    """Whether a row of X is foreground and so is its partner of X^, of (2 REACH + 1, 2 REACH + 1, A) around a square.

    The middle cells pair; from there on, ``step`` cells of X are one of X^.
    """
    cells = slice(REACH - REACH // pair.step, REACH + REACH // pair.step + 1)
    full = full[REACH % pair.step :: pair.step, REACH % pair.step :: pair.step, pair.anchors]
    return bool((full & small[cells, cells, pair.partners]).any())


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
        middle = (left * right) ** 0.5
        left, right = (left, middle) if valid(middle) == after else (middle, right)
    return round(float(right if after else left), 3)
