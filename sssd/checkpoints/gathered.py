"""Gradients that wait for their optimizer step, in the checkpoint: a run also goes on in the middle of such a step."""

from collections.abc import Iterator
from logging import WARNING

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapperDict
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from sssd.hooks.ema_teacher import unwrap

#: Key of the message hub: over how many iterations gradients accumulate, and these by the names of their parameters.
GATHERED = 'gathered_gradients'


def keep_gathered(runner) -> None:
    """Note waiting gradients in the message hub, and so in what is saved next; all processes call this.

    They are averaged over processes: the step averages as well, so each may go on with the mean of all.
    """
    counts, found = accumulated_over(runner), {}
    grads = {name: value.grad for name, value in trained(runner.model)} if counts > 1 else {}
    if int(over_processes(torch.tensor(sum(grad is not None for grad in grads.values())), runner, 'sum')):
        for name, value in trained(runner.model):
            grad = torch.zeros_like(value) if grads[name] is None else grads[name].detach().clone()
            found[name] = over_processes(grad, runner, 'mean').cpu()
    runner.message_hub.update_info(GATHERED, dict(counts=counts, gradients=found) if found else None)


def forget_gathered(runner) -> None:
    """Once they are saved."""
    runner.message_hub.update_info(GATHERED, None)


class GatheredGradientsHook(Hook):
    """Takes up, on resume, the gradients that waited for their step when the checkpoint was written."""

    def before_train(self, runner) -> None:
        """Set them, unless gradients accumulate over another number of iterations now."""
        found = runner.message_hub.runtime_info.get(GATHERED) if runner._resume else None
        if not found:
            return
        forget_gathered(runner)
        parameters = dict(trained(runner.model))
        if found['counts'] != accumulated_over(runner) or set(found['gradients']) != set(parameters):
            print_log(
                'The gradients that waited for a step in the checkpoint are left out: what is trained, or '
                'accumulative_counts of optim_wrapper, is not what it was.',
                logger='current',
                level=WARNING,
            )
            return
        for name, grad in found['gradients'].items():
            parameters[name].grad = grad.to(parameters[name])
        print_log(
            'No gradient is lost after all: those that waited for a step were in the checkpoint.',
            logger='current',
            level=WARNING,
        )


def accumulated_over(runner) -> int:
    """Over how many iterations gradients accumulate; 1 where that is not for us to say.

    That is with several optimizers, which step when they want, and where a process has but a part of each parameter.
    """
    whole = not is_model_wrapper(runner.model) or isinstance(runner.model, DistributedDataParallel)
    if isinstance(runner.optim_wrapper, OptimWrapperDict) or not whole:
        return 1
    return getattr(runner.optim_wrapper, '_accumulative_counts', 1)


def trained(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Parameters that have gradients, with names that do not depend on the number of processes."""
    return ((name, value) for name, value in unwrap(model).named_parameters() if value.requires_grad)


def over_processes(value: Tensor, runner, how: str) -> Tensor:
    """A tensor's sum or mean over all processes, where their backend can have it."""
    value = value.to(next(runner.model.parameters()).device)
    all_reduce(value, how)
    return value
