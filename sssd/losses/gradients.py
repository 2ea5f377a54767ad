"""How hard each of several losses pulls on the parameters that they share."""

from collections.abc import Iterable, Sequence

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.logging import print_log
from torch import Tensor, nn

#: What was said already, so that a run says it once.
_TOLD: set[str] = set()


def branch_gradients(losses: Iterable[Tensor | None], parameters: Sequence[nn.Parameter], scale: float = 1.0) -> Tensor:
    """Gradients of several losses with respect to the same parameters, each as one row.

    The training does not see it: the graph is kept, ``grad`` is not touched and no hook runs that waits for a gradient
    to be accumulated, such as DistributedDataParallel's; tensor hooks of parameters do run. Every rank has to call it
    with as many losses, whatever its batch holds.

    Args:
        losses: Scalars, or gradients (P,) that are known; a row of zeros stands for None and for a loss without a
            graph.
        parameters: P numbers in all, in the graph of none, some or all of the losses.
        scale: Losses are multiplied by it and gradients divided, to keep half precision's in its range.

    Returns:
        Gradients (losses, P) in float32, their mean over ranks, as the optimizer gets them. Not finite where half
        precision overflowed, and NaN where a graph cannot be kept (of parts compiled by ``torch.compile``).
    """
    rows = torch.stack([_row(loss, parameters, scale) for loss in losses])
    if get_world_size() > 1:
        all_reduce(rows, op='mean')
    return rows


def flat(parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor | None]) -> Tensor:
    """Gradients in these parameters as one row (P,) in float32; zeros for None."""
    whole = (torch.zeros_like(value) if one is None else one for one, value in zip(gradients, parameters))
    return torch.cat([one.flatten().float() for one in whole])


def _row(loss: Tensor | None, parameters: Sequence[nn.Parameter], scale: float) -> Tensor:
    """Gradient (P,) of one loss."""
    device, count = parameters[0].device, sum(parameter.numel() for parameter in parameters)
    if loss is not None and loss.dim() == 1:
        return loss
    if loss is None or not loss.requires_grad:
        return torch.zeros(count, device=device)
    try:
        with torch.autocast(device.type, enabled=False):
            found = torch.autograd.grad(loss * scale, parameters, retain_graph=True, allow_unused=True)
    except RuntimeError as error:
        tell_once(error)
        return torch.full((count,), torch.nan, device=device)
    return flat(parameters, found) / scale


def tell_once(error: RuntimeError) -> None:
    """Say why gradients are not measured, each reason once."""
    reason = str(error).strip().partition('\n')[0]
    if reason not in _TOLD:
        _TOLD.add(reason)
        print_log(f'Gradient ratios are not measured here; training goes on. The reason: {reason}', logger='current')
