"""Eq. 2 and 3 with their gradient beside the value, chunk by chunk of rows.

Autograd would keep a dozen arrays of the size of the logits between forward and backward pass. All that the backward
pass needs is one: the gradient ``p - p'``, which both equations and both activations have in common. What else is
needed on the way exists for one chunk at a time.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from sssd.errors import UserError
from sssd.losses.distances import SIGMOID

#: Elements of a chunk: on a CPU what its caches hold; elsewhere as many as keep the number of kernels small.
CHUNK = dict(cpu=2**16)
LARGE_CHUNK = 2**24


class Rows(NamedTuple):
    """What a loss needs of N rows of two predictions.

    Attributes:
        divergence: (N,), KL(target || pred) or, for both directions, its sum with KL(pred || target).
        distance: (N,), g of Eq. 5.
        gradient: (N, C), ``p - p'``: of the divergence KL(target || pred) in the prediction's logits and, negated, of
            KL(pred || target) in the target's.
    """

    divergence: Tensor
    distance: Tensor
    gradient: Tensor


@torch.no_grad()
def compared_rows(target: Tensor, pred: Tensor, activation: str, both: bool = False, classes: Tensor | None = None):
    """Divergence, distance and gradient of all rows, in single precision at least.

    One direction is :func:`~sssd.losses.distances.kl_divergence`. Of both directions the normalisers cancel, and the
    sum over the classes of ``(p - p') (z - z')`` is left.

    Args:
        target: Logits (N, C).
        pred: Logits (N, C).
        activation: ``'sigmoid'`` or ``'softmax'``.
        both: Whether the divergence is the sum of both directions.
        classes: Factors (C,) of the classes' divergences, for sigmoid heads; None for 1.

    Returns:
        :class:`Rows`.
    """
    dtype = torch.promote_types(pred.dtype, torch.float)
    gradient = torch.empty(pred.shape, dtype=dtype, device=pred.device)
    divergence, distance = gradient.new_empty(len(pred)), gradient.new_empty(len(pred))
    for rows in chunks(pred):
        before, after = target[rows].to(dtype), pred[rows].to(dtype)
        (q, score_q), (p, score_p) = scored(before, activation), scored(after, activation)
        gap = torch.sub(p, q, out=gradient[rows])
        torch.sum(gap.abs(), -1, out=distance[rows])
        if both:
            terms = (score_p - score_q).mul_(gap)
        else:
            terms = (score_q - score_p).mul_(q)
            if activation == SIGMOID:
                terms.add_(F.softplus(after)).sub_(F.softplus(before))
        if classes is not None:
            terms.mul_(classes)
            gap.mul_(classes)
        torch.sum(terms, -1, out=divergence[rows])
    return Rows(divergence, distance.clamp_(max=1) if activation == SIGMOID else distance.div_(2), gradient)


def scored(logits: Tensor, activation: str) -> tuple[Tensor, Tensor]:
    """Probabilities, and logits that they are the sigmoid or the exponential of."""
    if activation == SIGMOID:
        return logits.sigmoid(), logits
    logits = logits.log_softmax(-1)
    return logits.exp(), logits


def chunks(rows: Tensor) -> Iterator[slice]:
    """Slices of the first dimension, none of which has many more elements than :data:`CHUNK`."""
    step = max(chunk_size(rows) // max(rows[:1].numel(), 1), 1)
    return (slice(start, start + step) for start in range(0, len(rows), step))


def chunk_size(values: Tensor) -> int:
    """Elements of a chunk on the device of some values."""
    return CHUNK.get(values.device.type, LARGE_CHUNK)


def with_gradient(value: Tensor, gradient: Tensor, weight: Tensor, plus: Tensor, minus: Tensor | None = None) -> Tensor:
    """The value as a function of logits in which its gradient is known.

    Args:
        value: A scalar without a graph.
        gradient: (N, ...); kept until the backward pass, and must not change until then.
        weight: (N,), of the rows, or a scalar.
        plus: The gradient in these logits (N, ...) is ``weight * gradient``.
        minus: In these it is the opposite.

    Returns:
        The scalar. It can be differentiated as often as its graph is kept.

    Raises:
        UserError: In the backward pass, if a graph of it is asked for: second derivatives are not known.
    """
    return _WithGradient.apply(value, gradient, weight[:, None] if weight.dim() else weight, plus, minus)


class _WithGradient(torch.autograd.Function):
    """See :func:`with_gradient`."""

    @staticmethod
    def forward(ctx, value: Tensor, gradient: Tensor, weight: Tensor, plus: Tensor, minus: Tensor | None) -> Tensor:
        """The value itself."""
        ctx.save_for_backward(gradient, weight)
        ctx.dtypes = [logits if logits is None else logits.dtype for logits in (plus, minus)]
        return value.clone()

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the logits, in their precision."""
        if torch.is_grad_enabled():
            raise UserError(
                'The gradient of this loss is not differentiable (create_graph=True); set fused=False in it.'
            )
        gradient, weight = ctx.saved_tensors
        factors = [weight * grad, weight * -grad]
        found = [
            (gradient * factor).to(dtype) if needed else None
            for needed, factor, dtype in zip(ctx.needs_input_grad[3:], factors, ctx.dtypes)
        ]
        return None, None, None, *found
