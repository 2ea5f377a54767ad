"""Activation checkpointing that works with several passes, several ranks and frozen stages."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from mmengine.hooks import Hook
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from sssd.errors import UserError
from sssd.hooks.ema_teacher import unwrap
from sssd.registry import HOOKS


@HOOKS.register_module()
class RecomputeHook(Hook):
    """Backbones keep the inputs of their blocks alone and compute the rest again in the backward pass.

    mmdet's ``with_cp`` and MMEngine's ``activation_checkpointing`` use PyTorch's older, reentrant way, which under
    DistributedDataParallel fails where a backbone runs several times a step, as a student does, and which leaves
    modules without gradients whose inputs are tuples or need none. This uses the newer one. BatchNorm counts every
    image once, as without the hook: what is computed again leaves its running statistics alone.

    Args:
        parts: Names of the modules concerned, wherever in the model they are. Of those made of sequences of blocks,
            such as ResNet, every block is computed again on its own; others are as a whole.

    Raises:
        UserError: When training starts, if the model has none of the parts.
    """

    def __init__(self, parts: Sequence[str] = ('backbone',)) -> None:
        self.parts = tuple(parts)

    def before_train(self, runner) -> None:
        """Wrap the forward passes of all blocks."""
        model = unwrap(runner.model)
        found = [module for name, module in model.named_modules() if name.split('.')[-1] in self.parts]
        if not found:
            raise UserError(
                f'RecomputeHook: {type(model).__name__} has no part named {" or ".join(self.parts)}; name '
                'others in parts, or take the hook out of custom_hooks.'
            )
        for block in (block for module in found for block in blocks(module)):
            block.forward = partial(checkpoint, block.forward, use_reentrant=False, context_fn=partial(contexts, block))

    def after_train(self, runner) -> None:
        """Leave no trace in the model."""
        for module in unwrap(runner.model).modules():
            forward = module.__dict__.get('forward')
            if isinstance(forward, partial) and forward.func is checkpoint:
                del module.forward


def contexts(block: nn.Module) -> tuple:
    """Contexts of a block's first and of its second computation, as ``checkpoint`` asks for them."""
    return nullcontext(), StatisticsKept(block)


class StatisticsKept(AbstractContextManager):
    """Within it, BatchNorm normalises as ever and takes nothing into its running statistics.

    It is entered once for each backward pass through the block, of which gradient ratios need several.
    """

    def __init__(self, block: nn.Module) -> None:
        self.block, self.kept = block, []

    def __enter__(self) -> None:
        norms = [norm for norm in self.block.modules() if isinstance(norm, _BatchNorm)]
        self.kept = [(norm, norm.momentum, norm.num_batches_tracked) for norm in norms]
        for norm in norms:
            norm.momentum, norm.num_batches_tracked = 0.0, None

    def __exit__(self, *error) -> None:
        for norm, momentum, count in self.kept:
            norm.momentum, norm.num_batches_tracked = momentum, count


def blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The blocks of all sequences directly in a module, or the module itself if it has none."""
    sequences = [child for child in module.children() if isinstance(child, nn.Sequential)]
    yield from (block for sequence in sequences for block in sequence) if sequences else [module]
