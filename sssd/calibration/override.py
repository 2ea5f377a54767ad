"""A found lambda as a config: the base's own schedule of lambda, scaled, in a file with ``_base_``."""

import copy
import os
from collections.abc import Iterable
from pathlib import Path

from mmengine.config import Config

from sssd.calibration.search import rounded
from sssd.errors import UserError
from sssd.places import read_config

WEIGHTS = 'LambdaScheduleHook'
#: The values of each schedule, the first that is reached first.
VALUES = dict(Constant=('value',), StepAtDecay=('start', 'end'), Cosine=('start', 'end'), Ramp=('after',))


def is_hook(hook, name: str) -> bool:
    """Whether an entry of ``custom_hooks`` is of a type, with or without its scope."""
    kind = hook.get('type') if isinstance(hook, dict) else type(hook)
    return (kind if isinstance(kind, str) else getattr(kind, '__name__', '')).split('.')[-1] == name


def without_weight(hook, *weights: str) -> dict | None:
    """An entry of ``custom_hooks`` that leaves some weights alone; None if nothing is left of it.

    Only a LambdaScheduleHook is changed.
    """
    if not is_hook(hook, WEIGHTS) or not isinstance(hook, dict):
        return hook
    kept = {key: value for key, value in hook.items() if key not in weights}
    return kept if set(kept) - {'type', '_scope_', 'priority', 'burn_in'} else None


def scaled(schedule, lambda_: float):
    """A schedule's config times the factor that makes its first value above 0 the given one.

    Args:
        schedule: A number, or the config of a Constant, StepAtDecay, Cosine or Ramp. Where it is 0 throughout, the
            lambda itself takes its place.
        lambda_: The lambda.

    Raises:
        UserError: If it is of another kind.
    """
    first = _first(schedule)
    return _times(schedule, lambda_ / first) if first else lambda_


def _first(schedule) -> float:
    """The first value of a schedule that is not 0; 0 if there is none."""
    if isinstance(schedule, (int, float)) and not isinstance(schedule, bool):
        return schedule
    return next((value for value in (_first(schedule[key]) for key in _keys(schedule)) if value), 0.0)


def _times(schedule, factor: float):
    if not isinstance(schedule, dict):
        return rounded(schedule * factor)
    return {**schedule, **{key: _times(schedule[key], factor) for key in _keys(schedule)}}


def _keys(schedule) -> Iterable[str]:
    name = str(schedule.get('type') if isinstance(schedule, dict) else schedule).split('.')[-1]
    if name not in VALUES:
        raise UserError(
            f'the schedule of lambda_ in custom_hooks is {name}, which cannot be scaled: write it as a '
            f'number or one of {", ".join(VALUES)}.'
        )
    return VALUES[name]


def calibrated_hooks(cfg: Config, lambda_: float) -> list:
    """``custom_hooks`` of a config with the schedule of lambda scaled; a hook is added where there is no schedule."""
    hooks = copy.deepcopy(list(cfg.get('custom_hooks') or []))
    found = [hook for hook in hooks if is_hook(hook, WEIGHTS) and 'lambda_' in hook]
    for hook in found:
        hook['lambda_'] = scaled(hook['lambda_'], lambda_)
    return hooks if found else [*hooks, dict(type=f'sssd.{WEIGHTS}', lambda_=lambda_)]


def override_text(
    cfg: Config, lambda_: float, base: str, out: Path, options: Iterable[str] = (), note: str = ''
) -> str:
    """The text of a config that trains as its base does, with a calibrated lambda.

    Args:
        cfg: The base with its options, complete.
        lambda_: The lambda.
        base: The base's file.
        out: Where the text is going to be; the base is named relative to it.
        options: Dotted keys of the options on top of the base; what they changed is written out.
        note: A comment for the first line.

    Raises:
        UserError: If the schedule of lambda cannot be scaled, or the base cannot be inherited from.
    """
    if Config._is_lazy_import(base):
        raise UserError(
            f'{base} is a config of the kind that imports its parts (read_base), from which no override '
            'can inherit: name a config with _base_.'
        )
    tops = {key.split('.')[0] for key in options} - {'custom_hooks'}
    kept = read_config(base)
    parts = dict(custom_hooks=calibrated_hooks(cfg, lambda_))
    for key in sorted(tops):
        whole = isinstance(cfg[key], dict) and isinstance(kept.get(key), dict)
        parts[key] = {'_delete_': True, **cfg[key]} if whole else cfg[key]
    path = Path(os.path.relpath(Path(base).resolve(), Path(out).resolve().parent)).as_posix()
    lines = [f'# {note}'] if note else []
    return '\n'.join([*lines, f'_base_ = [{path!r}]', Config(parts).pretty_text])
