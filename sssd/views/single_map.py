"""Rows of a head on a single feature map (C4, DC5): anchors of X and of X^ that are the same box of the image.

A cell of a map of stride t covers 2**s t pixels of X in X^, so X^ has the coarser grid; there scale k - s is as large
in the image as scale k of X. mmdet's anchors of cell (i, j) are boxes around the pixel (i t, j t). Those of cell (i, j)
of X^ thus lie around (2**s i t, 2**s j t) of X, where cell (2**s i, 2**s j) of X has its own: that cell is the partner,
the others of its block are left out. Their average would be one of deltas from four different boxes, none of which is
the anchor of X^; the deltas of the picked cell are from the very same box and need no change.
"""

from torch import Tensor, nn

from sssd.views.base import require

#: By how many pixels two anchors may differ and still be one box.
SAME = 1e-2


def same_anchors(anchors: Tensor, shift: int) -> tuple[list[int], list[int]]:
    """Which anchors of X are which of X^ within one cell: scale index k of X and k - s of X^, of the same shape.

    Args:
        anchors: Anchors (A, 4) of the first cell, in pixels.
        shift: s; X^ is 1/2**s of the size.

    Returns:
        Indices into the anchors of X and into those of X^, of equal length.
    """
    anchors = anchors.cpu()  # mmdet keeps them there
    gap = (anchors[:, None] - anchors * 2**shift).abs().amax(-1)
    return tuple((gap < SAME).nonzero().t().tolist())


def base_anchors(head: nn.Module) -> Tensor:
    """Anchors (A, 4) of the first cell of the one map that a head works on."""
    return head.prior_generator.base_anchors[0]


def check_single_map(head: nn.Module) -> None:
    """Refuse a head on one map none of whose anchors is twice another one.

    Raises:
        UserError: Naming the head's type and what its anchors are.
    """
    name, generator = type(head).__name__, head.prior_generator
    require(
        hasattr(generator, 'base_anchors'),
        f'{name} has one feature map and no anchors, so nothing in it pairs over scales; use a head with a pyramid '
        'or with anchors of several sizes.',
    )
    scales = [round(float(scale), 4) for scale in generator.scales]
    require(
        same_anchors(base_anchors(head), 1)[0],
        f'{name} has one feature map with anchor scales {scales} and center_offset {generator.center_offset}: none '
        'of its anchors is twice another one, so no scale pair exists; use scales that are powers of two apart, '
        'such as [2, 4, 8, 16, 32], and center_offset=0.',
    )
