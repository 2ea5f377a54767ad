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

    Nothing of it is seen by the training: the graph is kept, ``grad`` is not touched and no hook of a parameter runs,
    DistributedDataParallel's neither. Every rank has to call it with as many losses, whatever its batch holds.

    Args:
        losses: Scalars; a row of zeros stands for None and for a loss without a graph.
        parameters: P numbers in all, in the graph of none, some or all of the losses.
        scale: Losses are multiplied by it and gradients divided, to keep half precision's in its range.

    Returns:
        Gradients (losses, P) in float32, their mean over ranks, as the optimizer gets them. Not finite where half
        precision overflowed, and NaN where a graph cannot be kept (of parts compiled by ``torch.compile``).
    """
    rows = torch.stack([_flat(loss, parameters, scale) for loss in losses])
    if get_world_size() > 1:
        all_reduce(rows, op='mean')
    return rows


def _flat(loss: Tensor | None, parameters: Sequence[nn.Parameter], scale: float) -> Tensor:
    """Gradient (P,) of one loss."""
    device, count = parameters[0].device, sum(parameter.numel() for parameter in parameters)
    if loss is None or not loss.requires_grad:
        return torch.zeros(count, device=device)
    try:
        with torch.autocast(device.type, enabled=False):
            found = torch.autograd.grad(loss * scale, parameters, retain_graph=True, allow_unused=True)
    except RuntimeError as error:
        _tell_once(str(error).strip().partition('\n')[0])
        return torch.full((count,), torch.nan, device=device)
    found = (torch.zeros_like(value) if part is None else part for part, value in zip(found, parameters))
    return torch.cat([part.flatten().float() for part in found]) / scale


def _tell_once(reason: str) -> None:
    if reason not in _TOLD:
        _TOLD.add(reason)
        print_log(f'Gradient ratios are not measured here; training goes on. The reason: {reason}', logger='current')
