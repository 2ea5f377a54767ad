"""torch.compile for the parts of a detector that are worth it."""

from collections.abc import Sequence

from mmengine.hooks import Hook

from sssd.errors import UserError
from sssd.hooks.ema_teacher import unwrap
from sssd.hooks.recompute import RecomputeHook
from sssd.registry import HOOKS


@HOOKS.register_module()
class CompilePartsHook(Hook):
    """Compiles every backbone and neck before training, the teacher's too; what they save is unchanged.

    MMEngine's ``compile`` option hands the whole training step to ``torch.compile``. Assignment, sampling and NMS break
    that into dozens of graphs, and every loss weight on a schedule makes new ones. Backbone and neck hold most of the
    arithmetic, are one graph each and see tensors alone.

    Args:
        parts: Names of the modules to compile, wherever in the model they are.
        options: Arguments of ``torch.compile``; default ``dict(dynamic=True)``, since images differ in size.

    Raises:
        UserError: When training starts, if the model has none of the parts.
    """

    def __init__(self, parts: Sequence[str] = ('backbone', 'neck'), options: dict | None = None) -> None:
        self.parts, self.options = tuple(parts), dict(dynamic=True) if options is None else dict(options)

    def before_train(self, runner) -> None:
        """Compile in place; the compiler itself runs at the first call of each part."""
        if any(isinstance(hook, RecomputeHook) for hook in getattr(runner, 'hooks', ())):
            raise UserError(
                'CompilePartsHook: torch.compile does not take parts that RecomputeHook computes again: take one of '
                'the two out of custom_hooks.'
            )
        model = unwrap(runner.model)
        found = [module for name, module in model.named_modules() if name.split('.')[-1] in self.parts]
        if not found:
            raise UserError(
                f'CompilePartsHook: {type(model).__name__} has no part named {" or ".join(self.parts)}; '
                'name others in parts, or take the hook out of custom_hooks.'
            )
        for module in found:
            module.compile(**self.options)
