"""Sums over the loss terms of a detector."""

from torch import Tensor


def sum_of(losses: dict) -> Tensor:
    """Sum of all loss terms, as the optimiser sees it.

    Args:
        losses: Scalars, or lists of them, by name; a name without ``loss`` in it is logged only and does not count.
    """
    return sum(
        value.mean() if isinstance(value, Tensor) else sum(part.mean() for part in value)
        for name, value in losses.items()
        if 'loss' in name
    )


def total_of(losses: dict) -> Tensor:
    """:func:`sum_of` without gradient."""
    return sum_of(losses).detach()
