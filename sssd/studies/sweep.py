"""Sweeps: a run of a study becomes several, one a value of a config key; several keys make a grid."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from mmengine.config import Config, DictAction

from sssd.checks.config import KNOWN
from sssd.checks.registered import arguments_of
from sssd.errors import UserError
from sssd.studies.cost import BRANCH, holds_key

#: Between a run's name and its values; and what a name may not have, as it is a folder's too.
SIGN, UNSAFE = '@', re.compile(r'[^\w.+-]+')
EXAMPLE = '--sweep sed:custom_hooks.0.lambda_d=1,10'


@dataclass(frozen=True)
class Sweep:
    """A config key and its values.

    Attributes:
        key: The key, with dots.
        values: Its values, in order.
        run: The run that it is for; '' for every run that has unlabelled images.
    """

    key: str
    values: tuple[Any, ...]
    run: str = ''

    @classmethod
    def of(cls, word: str) -> 'Sweep':
        """A sweep as it is written: ``[RUN:]KEY=VALUE,VALUE,...``; a value with commas stands in brackets.

        Raises:
            UserError: If it is not of that form.
        """
        name, equals, text = word.partition('=')
        run, colon, key = name.rpartition(':')
        if not equals or not key or (colon and not run):
            raise UserError(f'--sweep got {word!r}, which is not of the form [RUN:]KEY=A,B,...: write {EXAMPLE}.')
        values = tuple(DictAction._parse_iterable(part) for part in split_values(text, word))
        if len({repr(value) for value in values}) < len(values):
            raise UserError(f'--sweep got {word!r}, which names a value twice: give each once.')
        return cls(key, values, run)


def split_values(text: str, word: str) -> list[str]:
    """Values between commas, those inside brackets not counted.

    Raises:
        UserError: If one is empty, or a bracket is not closed.
    """
    parts, depth, least = [''], 0, 0
    for sign in text:
        depth += (sign in '[(') - (sign in '])')
        least = min(least, depth)
        if sign == ',' and depth == 0:
            parts.append('')
        else:
            parts[-1] += sign
    if depth or least or not all(parts) or set('{}') & set(text):
        raise UserError(
            f'--sweep got {word!r}, where a value is empty, a bracket is not closed or a dict is meant: write '
            f'{EXAMPLE}.'
        )
    return parts


def variants(
    runs: Mapping[str, Config], sweeps: Sequence[Sweep], study: str
) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """Of every run the runs that stand in its place: their names and config options; one without options if none does.

    Args:
        runs: The configs of the study's runs by name, in order.
        sweeps: The sweeps.
        study: The study's name, for the sentences.

    Raises:
        UserError: If there is no such run, no run is left to choose, a key is swept twice, or a config has no such key.
    """
    chosen: dict[str, list[Sweep]] = {name: [] for name in runs}
    for sweep in sweeps:
        for name in swept_runs(runs, sweep, study):
            if any(other.key == sweep.key for other in chosen[name]):
                raise UserError(f'--sweep names {sweep.key} of the run {name!r} twice: give all its values at once.')
            require_key(runs[name], sweep.key, name)
            chosen[name].append(sweep)
    made = {name: grid(name, own) for name, own in chosen.items()}
    names = [name for group in made.values() for name, _ in group]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(f'two runs of the sweep would be called {twice!r}: put such values into configs of their own.')
    return made


def swept_runs(runs: Mapping[str, Config], sweep: Sweep, study: str) -> list[str]:
    """The runs that a sweep is for.

    Raises:
        UserError: If there is none.
    """
    if sweep.run:
        if sweep.run not in runs:
            raise UserError(f'--sweep names the run {sweep.run!r}, but the study {study} has {", ".join(runs)}.')
        return [sweep.run]
    found = [name for name, config in runs.items() if holds_key(config.get('train_dataloader'), BRANCH)]
    if not found:
        raise UserError(
            f'no run of the study {study} has unlabelled images: name the run that {sweep.key} is swept for, one of '
            f'{", ".join(runs)}, as in --sweep {next(iter(runs))}:{sweep.key}=...'
        )
    return found


def grid(name: str, sweeps: Sequence[Sweep]) -> list[tuple[str, dict[str, Any]]]:
    """All combinations of the values of a run's sweeps; the last key changes fastest."""
    if not sweeps:
        return [(name, {})]
    short = short_names([sweep.key for sweep in sweeps])
    made = []
    for values in itertools.product(*(sweep.values for sweep in sweeps)):
        said = ','.join(f'{key}={shown(value)}' for key, value in zip(short, values))
        made.append((f'{name}{SIGN}{said}', dict(zip((sweep.key for sweep in sweeps), values))))
    return made


def short_names(keys: Sequence[str]) -> list[str]:
    """The ends of keys, as many parts of all as tell them from each other."""
    for parts in range(1, max(key.count('.') for key in keys) + 2):
        names = ['.'.join(key.split('.')[-parts:]) for key in keys]
        if len(set(names)) == len(names):
            break
    return names


def shown(value: Any) -> str:
    """A value as a part of a name."""
    return UNSAFE.sub('_', str(value)).strip('_')


def require_key(config: Config, key: str, run: str) -> None:
    """Refuse a key that a config does not have and that no class in it takes.

    Raises:
        UserError: With the place where the key leaves the config, and what is there.
    """
    place, node, parts = [], config, key.split('.')
    if parts[0] in config and parts[0] not in KNOWN:
        raise UserError(
            f'--sweep {key}: {parts[0]!r} is a variable of the config of the run {run!r}, which nothing reads any '
            'more: name the key that it is put into, such as train_cfg.max_iters.'
        )
    for number, part in enumerate(parts):
        if isinstance(node, (list, tuple)):
            known = [str(index) for index in range(len(node))]
            inner = node[int(part)] if part in known else None
        else:
            known = [str(name) for name in node] if isinstance(node, Mapping | Config) else []
            inner = node[part] if part in known else None
        if part not in known:
            taken = arguments_of(str(node.get('type')).rpartition('.')[2]) if isinstance(node, Mapping) else []
            if number == len(parts) - 1 and part in taken:
                return
            near = get_close_matches(part, [*known, *taken], n=1, cutoff=0.6)
            known = [name for name in known if place or name in KNOWN]
            hint = f'did you mean {near[0]!r}?' if near else f'it has {", ".join(known) or "no keys"}.'
            raise UserError(
                f'--sweep {key}: {".".join(place) or "the config"} of the run {run!r} has no {part!r}; {hint}'
            )
        place.append(part)
        node = inner


def expanded(names: Sequence[str] | None, runs: Sequence[str]) -> list[str] | None:
    """Names of runs, that of a swept one standing for all that stand in its place."""
    if names is None:
        return None
    found = []
    for name in names:
        found += [name] if name in runs else [run for run in runs if run.startswith(name + SIGN)] or [name]
    return found
