"""A study's specification: a small config file that names its runs.

.. code-block:: python

    name = 'toy_retinanet'
    seeds = [0, 1, 2]
    data = dict(type='toy', root='data/toy')           # optional; a list makes several
    start = dict(config='configs/.../supervised.py')   # optional
    runs = dict(
        few=dict(config='configs/.../supervised.py'),
        sed=dict(config='configs/.../sed.py',
                 cfg_options={'model.semi_train_cfg.burn_in': 0}),
        all=dict(config='configs/.../all.py', from_start=False))
    test = dict(ann_file='data/toy/test.json', img_prefix='data/toy/images/test/')  # optional
    quick = {'train_cfg.max_iters': 4}                 # optional, for --quick

``{seed}`` in a value of ``cfg_options`` stands for the seed of the run, and so it does in ``env``, the variables of the
environment that the run's config reads (``env={'FOLD': '{seed}'}``). A run may have a ``quick`` of its own, over the
study's. A study without the runs ``few`` and ``all`` has no table of the headroom.

``iterations_times`` of a run trains it so many times as long, its schedule in proportion. ``test`` names the part of
the data that every run but the start is tested on once it is trained (:mod:`sssd.studies.final_test`).
"""

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mmengine.config import Config

from sssd.errors import UserError, first_line
from sssd.places import read_config
from sssd.provenance import digest
from sssd.studies.lengths import kept, longer
from sssd.studies.spec_checks import SEED, START, check_run, check_seed, check_spec
from sssd.studies.sweep import Sweep, expanded, variants

#: Hooks that measure and warn, and leave the training as it is.
WATCHING = ('sssd.GradientRatioHook', 'sssd.HealthHook')
_ENVIRONMENT = threading.RLock()


@dataclass
class RunSpec:
    """One column of a study: a config and what to change in it.

    Attributes:
        name: Its name in the study.
        config: Path of the config file.
        cfg_options: Dotted config keys and their values.
        from_start: Whether it begins with the seed's shared start.
        env: Variables of the environment that the config reads.
    """

    name: str
    config: str
    cfg_options: dict[str, Any] = field(default_factory=dict)
    from_start: bool = True
    env: dict[str, str] = field(default_factory=dict)

    def environment_for(self, seed: int) -> dict[str, str]:
        """The environment's variables for this run with a seed."""
        return {key: str(_with_seed(value, seed)) for key, value in self.env.items()}

    def options_for(self, seed: int) -> dict[str, Any]:
        """The config options of this run with a seed."""
        options = {key: _with_seed(value, seed) for key, value in self.cfg_options.items()}
        return {SEED: seed, **options}


@dataclass
class StudySpec:
    """A study: its runs, seeds, data, shared start and test part."""

    name: str
    runs: dict[str, RunSpec]
    seeds: list[int]
    start: RunSpec | None = None
    data: dict | list[dict] | None = None
    compare: dict[str, str] = field(default_factory=dict)
    test: dict[str, Any] | None = None

    def select(self, names: Sequence[str] | None) -> list[RunSpec]:
        """The runs of these names (None: all), in the study's order; a swept run's name stands for all its values."""
        names = expanded(names, list(self.runs))
        unknown = sorted(set(names or ()) - set(self.runs))
        if unknown:
            raise UserError(f'the study {self.name} has no run {unknown[0]!r}; it has {", ".join(self.runs)}')
        return [run for run in self.runs.values() if names is None or run.name in names]


def load_spec(path: str, cfg_options: dict | None = None, quick: bool = False, sweeps: Sequence[str] = ()) -> StudySpec:
    """Read a study's specification.

    Args:
        path: The file.
        cfg_options: Options for every run, over those of the file.
        quick: Apply the file's ``quick`` options as well.
        sweeps: Keys and values, as :class:`~sssd.studies.sweep.Sweep` reads them, whose runs stand in the place of
            those that they are for.

    Raises:
        UserError: If the file is missing or says something unknown.
    """
    spec = read_config(path, 'study specification', 'name an existing file').to_dict()
    check_spec(path, spec)
    check_seed('--cfg-options', cfg_options or {})
    short = dict(spec.get('quick') or {}) if quick else None
    name = spec['name'] + ('_quick' if quick else '')
    seeds = list(dict.fromkeys(spec.get('seeds') or [0]))
    start = spec.get('start')
    runs = {key: _run_spec(path, key, run, short, cfg_options, seeds[0]) for key, run in spec['runs'].items()}
    if sweeps:
        configs = {key: load_config(run, seeds[0]) for key, run in runs.items()}
        made = variants(configs, [Sweep.of(word) for word in sweeps], name)
        runs = {
            variant: _run_spec(path, variant, spec['runs'][key], short, {**(cfg_options or {}), **options}, seeds[0])
            for key, group in made.items()
            for variant, options in group
        }
    if spec.get('test'):
        for run in runs.values():
            run.cfg_options.update(kept(load_config(run, seeds[0])))
    return StudySpec(
        name=name,
        runs=runs,
        seeds=seeds,
        start=_run_spec(path, START, start, short, cfg_options, seeds[0]) if start else None,
        data=spec.get('data'),
        compare=spec.get('compare') or {},
        test=spec.get('test'),
    )


def _run_spec(path: str, name: str, run: dict, short: dict | None, given: dict | None, seed: int) -> RunSpec:
    """A run with its options, then the quick ones if asked for, then those given by hand, then its length."""
    check_run(f'{path}, run {name!r},', run)
    options = dict(run.get('cfg_options') or {})
    if short is not None:
        options.update({**short, **(run.get('quick') or {})})
    options.update(given or {})
    found = RunSpec(
        name=name,
        config=run['config'],
        cfg_options=options,
        from_start=run.get('from_start', True),
        env=dict(run.get('env') or {}),
    )
    if 'iterations_times' in run:
        options.update(longer(load_config(found, seed), run['iterations_times']))
    return found


def _with_seed(value: Any, seed: int) -> Any:
    if isinstance(value, str):
        return value.replace('{seed}', str(seed))
    if isinstance(value, (list, tuple)):
        return type(value)(_with_seed(item, seed) for item in value)
    return value


def load_config(run: RunSpec, seed: int) -> Config:
    """The full config of a run with a seed."""
    remedy = f'correct its path in the run {run.name!r} of the study; it is relative to the directory you are in'
    with environment(run.environment_for(seed)), quiet():
        config = read_config(run.config, 'config', remedy)
    options = dict(run.options_for(seed))
    try:
        config.merge_from_dict(options)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f'the options of the run {run.name!r} do not fit {run.config} ({first_line(error)}): '
            'look their keys up in the config.'
        ) from error
    return config


@contextmanager
def quiet(level: int = logging.INFO) -> Iterator[None]:
    """Log nothing up to a level for a while: MMEngine announces each variable of the environment that it reads."""
    before = logging.root.manager.disable
    logging.disable(max(before, level))
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Set variables of the environment for a while; one thread at a time."""
    with _ENVIRONMENT:
        before = {key: os.environ.get(key) for key in variables}
        os.environ.update(variables)
        try:
            yield
        finally:
            for key, value in before.items():
                if value is None:
                    del os.environ[key]
                else:
                    os.environ[key] = value


def fingerprint(
    run: RunSpec, seed: int, start: RunSpec | None = None, data: dict | list[dict] | None = None, processes: int = 1
) -> str:
    """A hash of all that the specification says of one run, and of its processes, which its total batch grows with.

    It covers the full configs of the run and of its start, and the data
    preparation, but no paths of the machine and no code.
    """
    said: list[Any] = [trained(load_config(run, seed)), data]
    if start is not None and run.from_start:
        said.append(trained(load_config(start, seed)))
    if processes > 1:
        said.append(dict(processes=processes))
    return digest(said)


def trained(config: Config) -> dict:
    """What of a config has a say in its results: not what watches and logs, nor how long processes wait."""
    said = config.to_dict()
    hooks = said.get('default_hooks') or {}
    said['default_hooks'] = {name: hook for name, hook in hooks.items() if (hook or {}).get('type') not in WATCHING}
    said.pop('log_processor', None)
    (said.get('env_cfg') or {}).get('dist_cfg', {}).pop('timeout', None)
    return said


def option_arguments(options: dict[str, Any]) -> list[str]:
    """Config options as ``key=value`` words of a command line.

    Raises:
        UserError: If a value cannot be written that way.
    """
    return [f'{key}={_written(key, value)}' for key, value in options.items()]


def _written(key: str, value: Any) -> str:
    if isinstance(value, (list, tuple)):
        inner = ','.join(_written(key, item) for item in value)
        return f'[{inner}]' if isinstance(value, list) else f'({inner})'
    text = str(value)
    if isinstance(value, dict) or any(sign in text for sign in ',[]() \'"'):
        raise UserError(
            f'the option {key} has the value {value!r}, which a '
            'command line cannot carry: put it into a config '
            'file, or use dotted keys'
        )
    return text
