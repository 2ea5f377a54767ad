"""An optimizer of the config that differs from the one a run was interrupted under: refused, or told."""

from collections.abc import Mapping, Sequence
from logging import WARNING
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch.optim import Optimizer

from sssd.checkpoints.schedules import listed, told
from sssd.errors import UserError

#: What a group of parameters says of whom it has and of how it is computed, not of what.
ASIDE = ('params', 'param_names', 'foreach', 'fused', 'capturable', 'differentiable')
#: How the names begin of what schedulers keep there.
KEPT = ('initial_', 'max_', 'min_')
#: Names that PyTorch adds to what an older version has written.
LATER = {'maximize', 'decoupled_weight_decay'}
#: Key in a checkpoint's ``meta`` of the kinds of its optimizers.
KINDS = 'sssd_optimizers'
INSTEAD = "with the config's begin with the checkpoint's weights by --cfg-options load_from=FILE, without --resume."


class OptimizerHook(Hook):
    """Compares, where a run goes on, the config's optimizer with that of the checkpoint, which PyTorch restores.

    Another kind of optimizer would end in a ``KeyError`` of its first step, and other values would be replaced by the
    checkpoint's without a word.  What schedulers move is left to :class:`~sssd.checkpoints.schedules.ScheduleHook`.
    """

    priority = 'LOWEST'  # after CheckpointGuard, which tells of another model

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Keep the kinds: groups of parameters of RAdam and Adamax, for one, look alike."""
        kinds = [type(wrapper.optimizer).__name__ for _, wrapper in wrappers({}, runner.optim_wrapper)]
        checkpoint.setdefault('meta', {})[KINDS] = kinds

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Refuse another kind, tell of other values.

        Raises:
            UserError: Naming the kind, and what its groups of parameters differ in.
        """
        if not runner._resume or 'optimizer' not in checkpoint:
            return
        schedulers = listed(runner.param_schedulers)
        moved = {'lr', *(scheduler.param_name for scheduler in schedulers)}
        moved |= {state.get('param_name', 'lr') for state in listed(checkpoint.get('param_schedulers'))}
        found, kinds = [], checkpoint.get('meta', {}).get(KINDS) or ()
        for number, (state, wrapper) in enumerate(wrappers(checkpoint['optimizer'], runner.optim_wrapper)):
            saved, optimizer = state.get('param_groups', ()), wrapper.optimizer
            refuse_other_kind(saved, optimizer, kinds[number] if number < len(kinds) else None)
            found += value_differences(saved, optimizer.param_groups, moved)
        if found:
            print_log(
                f'The optimizer in the config is not that of the checkpoint ({"; ".join(found)}): the old values stay; '
                f'to train {INSTEAD}',
                logger='current',
                level=WARNING,
            )


def wrappers(saved: Mapping[str, Any], wrapper: Any) -> list[tuple[Mapping[str, Any], OptimWrapper]]:
    """Each wrapper of an optimizer, that itself or those of a dict of them, with its state in a checkpoint."""
    if isinstance(wrapper, OptimWrapperDict):
        return [(saved.get(name) or {}, inner) for name, inner in wrapper.items()]
    return [(saved, wrapper)]


def refuse_other_kind(saved: Sequence[Mapping[str, Any]], optimizer: Optimizer, kind: str | None = None) -> None:
    """Refuse an optimizer that cannot go on with the state of another.

    Args:
        saved: The groups of parameters in the checkpoint.
        optimizer: The config's.
        kind: The name of the kind in the checkpoint, if it has one.

    Raises:
        UserError: Naming it and what its groups differ in.
    """
    theirs, ours = _names(saved) - LATER, _names(optimizer.param_groups) - LATER
    if kind not in (None, type(optimizer).__name__):
        what = f'is {kind}'
    elif theirs == ours:
        if [len(group['params']) for group in saved] == [len(group['params']) for group in optimizer.param_groups]:
            return
        what = 'has its parameters in other groups (optim_wrapper.paramwise_cfg)'
    else:
        parts = (('lacks', ours - theirs), ('has', theirs - ours))
        what = ' and '.join(f'{verb} {", ".join(sorted(names))}' for verb, names in parts if names)
    raise UserError(
        f'optim_wrapper.optimizer, {type(optimizer).__name__}, is not the kind that the checkpoint was trained with, '
        f'which {what}: take that one, or to train {INSTEAD}'
    )


def value_differences(
    saved: Sequence[Mapping[str, Any]], here: Sequence[Mapping[str, Any]], moved: set[str]
) -> list[str]:
    """What groups of parameters of the same kind differ in, in words, the first of each name.

    Args:
        saved: Those of the checkpoint.
        here: Those of the config.
        moved: Names of what a schedule moves, which is left out.
    """
    found = {}
    if 'momentum' in moved:
        moved = moved | {'betas'}  # whose first one is Adam's momentum
    for old, now in zip(saved, here):
        for name in sorted(_names([old]) & _names([now]) - moved):
            before, after = (tuple(value) if isinstance(value, list) else value for value in (old[name], now[name]))
            if before != after:
                found.setdefault(name, f'{name}: {told(before)} -> {told(after)}')
    return list(found.values())


def _names(groups: Sequence[Mapping[str, Any]]) -> set[str]:
    """Names of what groups of parameters say of their optimizer."""
    names = {name for group in groups for name in group if name not in ASIDE and not name.startswith(KEPT)}
    return names - {'momentum'} if 'betas' in names else names  # which a schedule of Adam's has put there
