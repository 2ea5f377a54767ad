"""A found lambda as a config: the base's own schedule of lambda, scaled, in a file with ``_base_``."""

import copy
import os
from collections.abc import Iterable, Mapping
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


def scaled(schedule, lambda_: float, name: str = 'lambda_'):
    """A schedule's config times the factor that makes its first value above 0 the given one.

    Args:
        schedule: A number, or the config of a Constant, StepAtDecay, Cosine or Ramp. Where it is 0 throughout, the
            lambda itself takes its place.
        lambda_: The lambda.
        name: What the model calls it.

    Raises:
        UserError: If it is of another kind.
    """
    first = first_value(schedule, name)
    return _times(schedule, lambda_ / first, name) if first else lambda_


def first_value(schedule, name: str) -> float:
    """The first value of a schedule of the weight ``name`` that is not 0; 0 if there is none."""
    if isinstance(schedule, (int, float)) and not isinstance(schedule, bool):
        return schedule
    values = (first_value(schedule[key], name) for key in _keys(schedule, name))
    return next((value for value in values if value), 0.0)


def _times(schedule, factor: float, name: str):
    if not isinstance(schedule, dict):
        return rounded(schedule * factor)
    return {**schedule, **{key: _times(schedule[key], factor, name) for key in _keys(schedule, name)}}


def _keys(schedule, weight: str) -> Iterable[str]:
    name = str(schedule.get('type') if isinstance(schedule, dict) else schedule).split('.')[-1]
    if name not in VALUES:
        raise UserError(
            f'the schedule of {weight} in custom_hooks is {name}, which cannot be scaled: write it as a '
            f'number or one of {", ".join(VALUES)}.'
        )
    return VALUES[name]


def calibrated_hooks(cfg: Config, lambdas: Mapping[str, float]) -> list:
    """``custom_hooks`` of a config with its schedules of lambdas scaled; a hook is added for those that have none."""
    hooks = copy.deepcopy(list(cfg.get('custom_hooks') or []))
    missing = dict(lambdas)
    for hook in (hook for hook in hooks if is_hook(hook, WEIGHTS)):
        for name in [name for name in lambdas if name in hook]:
            hook[name] = scaled(hook[name], lambdas[name], name)
            missing.pop(name, None)
    return [*hooks, dict(type=f'sssd.{WEIGHTS}', **missing)] if missing else hooks


def override_text(
    cfg: Config, lambdas: Mapping[str, float], base: str, out: Path, options: Iterable[str] = (), note: str = ''
) -> str:
    """The text of a config that trains as its base does, with calibrated lambdas.

    Args:
        cfg: The base with its options, complete.
        lambdas: The lambdas by the model's names of them.
        base: The base's file.
        out: Where the text is going to be; the base is named relative to it.
        options: Dotted keys of the options on top of the base; what they changed is written out.
        note: A comment for the first line.

    Raises:
        UserError: If a lambda's schedule cannot be scaled, or the base cannot be inherited from.
    """
    if Config._is_lazy_import(base):
        raise UserError(
            f'{base} is a config of the kind that imports its parts (read_base), from which no override '
            'can inherit: name a config with _base_.'
        )
    tops = {key.split('.')[0] for key in options} - {'custom_hooks'}
    kept = read_config(base)
    parts = dict(custom_hooks=calibrated_hooks(cfg, lambdas))
    for key in sorted(tops):
        whole = isinstance(cfg[key], dict) and isinstance(kept.get(key), dict)
        parts[key] = {'_delete_': True, **cfg[key]} if whole else cfg[key]
    path = Path(os.path.relpath(Path(base).resolve(), Path(out).resolve().parent)).as_posix()
    lines = [f'# {note}'] if note else []
    return '\n'.join([*lines, f'_base_ = [{path!r}]', Config(parts).pretty_text])
