"""Sums over the loss terms of a detector."""

from torch import Tensor


def total_of(losses: dict) -> Tensor:
    """Sum of all loss terms, as the optimiser sees it, without gradient.

    Args:
        losses: Scalars, or lists of them, by name; a name without ``loss`` in it is logged only and does not count.
    """
    terms = [
        value if isinstance(value, Tensor) else sum(part.mean() for part in value)
        for name, value in losses.items()
        if 'loss' in name
    ]
    return sum(term.detach().mean() for term in terms)
