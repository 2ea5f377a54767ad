"""Mistakes in a study's specification, told before anything is trained."""

import re
from collections.abc import Mapping
from typing import Any

from sssd.errors import UserError

SPEC_KEYS = {'name', 'seeds', 'data', 'start', 'runs', 'quick', 'compare', 'test'}
RUN_KEYS = {'config', 'cfg_options', 'env', 'from_start', 'quick', 'iterations_times'}
TEST_KEYS = {'ann_file', 'img_prefix', 'resamples', 'seed'}
#: The parts of the headroom, whose runs ``compare`` names.
COMPARE_KEYS = {'few', 'all'}
#: What is a dict, and may be left out.
DICTS = ('start', 'quick', 'compare', 'test')
#: The name under which the shared start of a seed is stored.
START = 'start'
#: The config key of a run's seed.
SEED = 'randomness.seed'
#: What a run may be called, as its folder has the same name.
NAME = re.compile(r'\w[\w.+@=-]*')


def check_spec(path: str, spec: Mapping[str, Any]) -> None:
    """Refuse a specification with a mistake in it, those of its runs left out.

    Args:
        path: The file, for the sentences.
        spec: What it says.

    Raises:
        UserError: Naming the key and what belongs there.
    """
    check_keys(path, spec, SPEC_KEYS, 'name', 'runs')
    _require(isinstance(spec['name'], str), f'{path}: name is {spec["name"]!r}: write a word in quotes')
    runs = spec['runs']
    _require(isinstance(runs, dict), f'{path}: runs is {runs!r}: write dict(NAME=dict(config=...), ...)')
    _require(bool(runs), f'{path} names no runs: fill its dict `runs`')
    _require(START not in runs, f'{path} calls a run {START!r}, the name of the shared start: rename that run')
    for name in runs:
        _require(
            NAME.fullmatch(str(name)) is not None,
            f'{path} calls a run {name!r}, which its folder would be called too: use letters, digits and _ . + - in '
            'names, a letter or digit first',
        )
    for key in DICTS:
        value = spec.get(key) or {}
        _require(isinstance(value, dict), f'{path}: {key} is {value!r}: write {key}=dict(...)')
    _check_seeds(path, spec.get('seeds'))
    _check_data(path, spec.get('data'))
    _check_compare(path, spec.get('compare') or {}, runs)
    if spec.get('test'):
        _check_test(path, spec['test'])


def check_run(where: str, run: Any) -> None:
    """Refuse a run with a mistake in it.

    Args:
        where: The file and the run's name, for the sentences.
        run: What the file says of it.

    Raises:
        UserError: Naming the key and what belongs there.
    """
    _require(isinstance(run, dict), f"{where} is {run!r}: write dict(config='...')")
    check_keys(where, run, RUN_KEYS, 'config')
    for key in ('cfg_options', 'env', 'quick'):
        value = run.get(key) or {}
        _require(isinstance(value, dict), f'{where} has {key}={value!r}: write {key}=dict(...)')
        check_seed(where, value)
    _require(isinstance(run['config'], str), f"{where} has config={run['config']!r}: write a config file's path")
    times = run.get('iterations_times', 1.0)
    _require(
        isinstance(times, (int, float)) and times > 0, f'{where} has iterations_times={times!r}: write a number above 0'
    )


def check_keys(where: str, given: Mapping, known: set, *needed: str) -> None:
    """Refuse an unknown key, and the lack of a needed one.

    Raises:
        UserError: Naming the key.
    """
    unknown = sorted(set(given) - known, key=str)
    if {'model', 'train_cfg'} <= set(given):
        raise UserError(
            f'{where} is the config of a training and no study: train it with `python -m sssd train`, or name a file '
            'that lists runs, such as the study.py that `init` writes beside its configs'
        )
    if unknown:
        raise UserError(f'{where} has an unknown key {unknown[0]!r}; known are {", ".join(sorted(known))}')
    for key in needed:
        if key not in given:
            raise UserError(f'{where} lacks the key {key!r}: add it')


def check_seed(where: str, options: Mapping) -> None:
    """Refuse config options that set a seed which is not the run's.

    Raises:
        UserError: Naming the key.
    """
    value = options.get(SEED, '{seed}')
    _require(
        '{seed}' in str(value),
        f'{where} has {SEED}={value}, with which every seed of the study would train the same: leave it out, and name '
        'seeds with `seeds` of the file or --seeds',
    )


def _check_seeds(path: str, seeds: Any) -> None:
    """Refuse seeds that are no list of whole numbers."""
    listed = isinstance(seeds, (list, tuple)) and all(type(seed) is int for seed in seeds)
    _require(seeds is None or listed, f'{path}: seeds is {seeds!r}: write a list of whole numbers, such as [0, 1, 2]')


def _check_data(path: str, data: Any) -> None:
    """Refuse data that are no dict, or list of dicts, with a type."""
    for one in data if isinstance(data, (list, tuple)) else [data or dict(type='')]:
        _require(
            isinstance(one, dict) and 'type' in one,
            f"{path}: data has {one!r}: write dict(type='toy', root=...) or several of that kind in a list",
        )


def _check_compare(path: str, compare: Mapping, runs: Mapping) -> None:
    """Refuse a name for a part of the headroom that no run has."""
    check_keys(f'{path}, compare,', compare, COMPARE_KEYS)
    for part, name in compare.items():
        _require(name in runs, f'{path}: compare says that {part} is the run {name!r}, but there are {", ".join(runs)}')


def _check_test(path: str, test: Mapping) -> None:
    """Refuse a test part that could not be evaluated once all is trained."""
    check_keys(f'{path}, test,', test, TEST_KEYS, 'ann_file', 'img_prefix')
    for key, least in (('resamples', 1), ('seed', 0)):
        value = test.get(key, least)
        _require(
            type(value) is int and value >= least,
            f'{path}, test, has {key}={value!r}: write a whole number, {least} or more',
        )


def _require(fine: bool, sentence: str) -> None:
    if not fine:
        raise UserError(sentence)
