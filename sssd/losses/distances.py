"""Distances between two sets of predictions: pure, unreduced, one value a row.

All take logits, not probabilities, so that equal inputs give exactly 0 and confident ones do not overflow.
The first argument of a divergence is the target; nothing here detaches, callers do.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

#: How logits become probabilities: one Bernoulli a class, or one categorical distribution a row.
SIGMOID, SOFTMAX = 'sigmoid', 'softmax'


def probabilities(logits: Tensor, activation: str) -> Tensor:
    """P of Eq. 2 and 3 from logits (N, C): sigmoid per class or softmax over the row."""
    return logits.sigmoid() if activation == SIGMOID else logits.softmax(-1)


def share_above_half(logits: Tensor, activation: str, valid: Tensor) -> Tensor:
    """Share of valid rows (N,) in which one of the object classes has more than 0.5; softmax has background last."""
    probability = probabilities(logits, activation)
    if activation == SOFTMAX:
        probability = probability[:, :-1]
    confident = (probability.amax(1) > 0.5) & valid if len(probability) else valid
    return confident.sum() / valid.sum().clamp(min=1)


def kl_divergence(target: Tensor, pred: Tensor, activation: str) -> Tensor:
    """KL(target || pred) of Eq. 2 and 3 for every row.

    Sigmoid heads: the sum over classes of Bernoulli divergences,
    ``p' (z' - z) + softplus(z) - softplus(z')``. Softmax heads: the divergence of the K+1 vector.
    Its gradient in the prediction's logits is ``p - p'`` for both.

    Args:
        target: Logits (N, C).
        pred: Logits (N, C).
        activation: ``'sigmoid'`` or ``'softmax'``.

    Returns:
        Tensor (N,), in nats, not negative up to rounding.
    """
    if activation == SIGMOID:
        return bernoulli_divergence(target, pred).sum(-1)
    log_target = target.log_softmax(-1)
    return (log_target.exp() * (log_target - pred.log_softmax(-1))).sum(-1)


def bernoulli_divergence(target: Tensor, pred: Tensor) -> Tensor:
    """KL(target || pred) of every row and class of a sigmoid head, logits (N, C) twice to (N, C)."""
    return target.sigmoid() * (target - pred) + F.softplus(pred) - F.softplus(target)


def js_divergence(first: Tensor, second: Tensor, activation: str) -> Tensor:
    """D_JS of Sec. 4.3: the entropy of the mean less the mean of the entropies, in nats, not below 0.

    Sigmoid heads: the sum over classes of Bernoulli divergences. A cost, no loss: near equal rows its gradient is
    rounding.

    Args:
        first: Logits (..., C).
        second: Logits that broadcast with them.
        activation: ``'sigmoid'`` or ``'softmax'``.

    Returns:
        Tensor (...).
    """
    p, q = probabilities(first, activation), probabilities(second, activation)
    mean = (entropy(p, activation) + entropy(q, activation)) / 2
    return (entropy((p + q) / 2, activation) - mean).clamp(min=0)


def entropy(probability: Tensor, activation: str) -> Tensor:
    """Entropy of every row of probabilities (..., C), for sigmoid heads the sum of those of its Bernoullis: (...)."""
    terms = torch.special.entr(probability)
    if activation == SIGMOID:
        terms = terms + torch.special.entr(1 - probability)
    return terms.sum(-1)


def score_distance(target: Tensor, pred: Tensor, activation: str) -> Tensor:
    """g of Eq. 5 for every row: sum_c |p_c - p'_c| brought into [0, 1], shape (N,).

    Softmax: half the sum, which is at most 1 (the total variation). Sigmoid: the sum, clipped at 1.
    """
    gap = (probabilities(pred, activation) - probabilities(target, activation)).abs().sum(-1)
    return gap.clamp(max=1.0) if activation == SIGMOID else gap / 2


def box_distance(target: Tensor, pred: Tensor) -> Tensor:
    """|| R - R' ||_2 of Eq. 2 and 3 over the last dimension: (..., 4) to (...), gradient 0 where they are equal."""
    return torch.linalg.vector_norm(pred - target, dim=-1)
