"""A backbone that stays as it is for the first iterations."""

import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from torch import nn

from sssd.errors import UserError
from sssd.hooks.ema_teacher import unwrap
from sssd.registry import HOOKS


@HOOKS.register_module()
class FreezeBackboneHook(Hook):
    """Freezes parameters, statistics and mode of every ``backbone`` for the first iterations (SSSD, Sec. 2.2).

    While frozen, the backbone is in eval mode and runs without a graph. ``requires_grad`` is left alone, since
    DistributedDataParallel counts on the parameters it found when it was made, and searches for unused ones only if
    told to: the backbone's last output carries all trainable parameters times 0 instead, so each is reported with a
    gradient of zeros. Before the optimizer steps these gradients are taken away, so neither weight decay nor momentum
    moves the parameters.

    What is frozen follows from the iteration alone, so it is right also just after a resume.

    Args:
        until: The first iteration that trains the backbone; 20000 in the paper, 0 freezes nothing.

    Raises:
        UserError: When training starts, if no module named ``backbone`` has parameters that train.
    """

    priority = 'ABOVE_NORMAL'

    def __init__(self, until: int) -> None:
        self.until = until
        self.backbones: list[nn.Module] = []
        self.handles = []

    def before_train(self, runner) -> None:
        """Find the backbones and prepare them, unless the freeze is over already."""
        if runner.iter >= self.until:
            return
        self.backbones = [
            module
            for name, module in unwrap(runner.model).named_modules()
            if name.split('.')[-1] == 'backbone' and trainable(module)
        ]
        if not self.backbones:
            raise UserError(
                f'FreezeBackboneHook: {type(unwrap(runner.model)).__name__} has no backbone that trains; '
                'take the hook out of custom_hooks.'
            )
        for backbone in self.backbones:
            self.handles += [Overlay(backbone)]
        wrappers = runner.optim_wrapper
        for wrapper in wrappers.values() if isinstance(wrappers, OptimWrapperDict) else [wrappers]:
            self.handles += [wrapper.optimizer.register_step_pre_hook(self._take_gradients_away)]

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Hold the eval mode while frozen (validation ends in train mode); give everything back at ``until``."""
        if not self.handles:
            return
        if runner.iter < self.until:
            for backbone in self.backbones:
                backbone.eval()
            return
        self._release()
        for backbone in self.backbones:
            backbone.train()

    def after_train(self, runner) -> None:
        """Leave no trace in the model."""
        self._release()

    def _release(self) -> None:
        for handle in self.handles:
            handle.remove()
        self.handles = []

    def _take_gradients_away(self, optimizer, args, kwargs) -> None:
        for backbone in self.backbones:
            for parameter in backbone.parameters():
                parameter.grad = None


class Overlay:
    """Runs a module without a graph and ties its trainable parameters to its last output, until removed.

    Args:
        module: A backbone: its outputs are a tuple or list of maps, the last of which the detector uses.
    """

    def __init__(self, module: nn.Module) -> None:
        self.outer = None
        self.handles = [
            module.register_forward_pre_hook(self._before),
            module.register_forward_hook(self._after, always_call=True),
        ]

    def remove(self) -> None:
        """Take it off."""
        for handle in self.handles:
            handle.remove()

    def _before(self, module, args) -> None:
        self.outer = torch.is_grad_enabled()
        torch.set_grad_enabled(False)

    def _after(self, module, args, output):
        torch.set_grad_enabled(self.outer)
        if output is None or not self.outer:
            return output
        nothing = sum(0 * parameter.flatten()[:1].sum() for parameter in trainable(module))
        return (*output[:-1], output[-1] + nothing)


def trainable(module: nn.Module) -> list[nn.Parameter]:
    """Parameters that want a gradient."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]
