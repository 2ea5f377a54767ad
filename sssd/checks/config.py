"""Is a config one that trains as it says?  Asked before anything is built."""

import math
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from mmengine.config import Config

from sssd.checks.nested import check_nested
from sssd.checks.semi import check_semi
from sssd.errors import UserError

#: Top-level keys of MMEngine's Runner and of mmdet's tools: a name near one of them is taken for a slip.
KNOWN = (
    'model', 'work_dir', 'train_dataloader', 'val_dataloader', 'test_dataloader', 'train_cfg', 'val_cfg', 'test_cfg',
    'auto_scale_lr', 'optim_wrapper', 'param_scheduler', 'val_evaluator', 'test_evaluator', 'default_hooks',
    'custom_hooks', 'data_preprocessor', 'load_from', 'resume', 'launcher', 'env_cfg', 'log_processor', 'log_level',
    'visualizer', 'vis_backends', 'default_scope', 'randomness', 'experiment_name', 'custom_imports', 'runner_type',
    'tta_model', 'tta_pipeline', 'find_unused_parameters', 'model_wrapper_cfg', 'activation_checkpointing',
)  # fmt: skip
NEEDED = ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper')
#: Numbers that must be numbers, and those that cannot be below 0.
NUMBERS = (
    'lr', 'weight_decay', 'momentum', 'lambda_s', 'lambda_d', 'lambda_p', 'lambda_', 'box_weight', 'loss_weight',
    'alpha', 'gamma', 'milestones', 'start_factor', 'end_factor', 'begin', 'end', 'eta_min', 'T_max', 'power',
)  # fmt: skip
NOT_NEGATIVE = ('lr', 'weight_decay', 'lambda_s', 'lambda_d', 'lambda_p', 'lambda_', 'box_weight', 'loss_weight')
#: Samplers that never come to an end.
ENDLESS = ('MixedSourceSampler', 'InfiniteSampler', 'MultiSourceSampler', 'GroupMultiSourceSampler')


def check_training(cfg: Config, name: str) -> None:
    """Refuse a config whose training would fail late, never end, or do something else than it says.

    Args:
        cfg: The complete config.
        name: Its name, for the sentence.

    Raises:
        UserError: For the first of its mistakes.
    """
    check_names(cfg, name)
    missing = [key for key in NEEDED if not cfg.get(key)]
    if missing:
        raise UserError(
            f'{name} lacks {", ".join(missing)}, which training needs: add them, or take them from a file in _base_.'
        )
    check_evaluation(cfg, name)
    check_nested(cfg.to_dict(), name)
    check_numbers(cfg, name)
    check_seed(cfg, name)
    check_loop(cfg, name)
    check_semi(cfg, name)


def check_names(cfg: Config, name: str) -> None:
    """Refuse a top-level key that is nearly one of MMEngine's, which would be left unread."""
    for key in cfg:
        near = get_close_matches(key, KNOWN, n=1, cutoff=0.9)
        if (
            key not in KNOWN
            and not key.endswith('_pipeline')
            and near
            and not isinstance(cfg[key], str)
            and not holds(cfg.get(near[0]), cfg[key])  # a variable that the right one is made of
        ):
            raise UserError(f'{name} has a key {key!r}, which nothing reads: write {near[0]!r}, or call it otherwise.')


def check_evaluation(cfg: Config, name: str) -> None:
    """Refuse a part of an evaluation without the others, for which MMEngine has an error of three lines."""
    for part in ('val', 'test'):
        keys = [f'{part}_{rest}' for rest in ('dataloader', 'cfg', 'evaluator')]
        there = [key for key in keys if cfg.get(key) is not None]
        if there and len(there) < len(keys):
            lacking = [key for key in keys if key not in there]
            raise UserError(
                f'{name} has {", ".join(there)} but not {", ".join(lacking)}: give all three, or set all to None.'
            )


def check_numbers(cfg: Config, name: str) -> None:
    """Refuse numbers that are NaN, text where a number belongs, and weights below 0."""
    for place, value in leaves(cfg.to_dict()):
        key = place.rpartition('.')[2].partition('[')[0]
        if isinstance(value, float) and math.isnan(value):
            raise UserError(f'{name}: {place} is NaN: give a number.')
        if key in NUMBERS and isinstance(value, str):
            raise UserError(f'{name}: {place} is the text {value!r}: write the number without quotes.')
        if key in NOT_NEGATIVE and isinstance(value, (int, float)) and (value < 0 or math.isinf(value)):
            raise UserError(f'{name}: {place} is {value}, but it must be at least 0 and finite.')


def check_seed(cfg: Config, name: str) -> None:
    """Refuse a seed that NumPy does not take."""
    seed = (cfg.get('randomness') or {}).get('seed')
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32):
        raise UserError(f'{name}: randomness.seed is {seed!r}, but a seed is a whole number from 0 to {2**32 - 1}.')


def check_loop(cfg: Config, name: str) -> None:
    """Refuse a training loop of no length, and one that counts otherwise than its schedules or its sampler."""
    loop = cfg.train_cfg
    for key in ('max_iters', 'max_epochs', 'val_interval'):
        length = loop.get(key)
        if length is not None and (not isinstance(length, int) or length < 1):
            raise UserError(f'{name}: train_cfg.{key} is {length!r}, but it must be a whole number of at least 1.')
    epochs = loop.get('by_epoch', str(loop.get('type', '')).endswith('EpochBasedTrainLoop'))
    hook = (cfg.get('default_hooks') or {}).get('checkpoint')
    hook = hook if isinstance(hook, Mapping) and isinstance(hook.get('interval', -1), int) else {}
    saves, by_epoch = hook.get('interval', -1) > 0, hook.get('by_epoch', True)
    if epochs:
        if saves and not by_epoch:
            raise UserError(
                f'{name}: default_hooks.checkpoint counts iterations, but a training by epochs goes on from the end of '
                'an epoch alone, and would do a part of one twice: take by_epoch=False out, interval is in epochs.'
            )
        sampler = str(((cfg.train_dataloader or {}).get('sampler') or {}).get('type', '')).rpartition('.')[2]
        if sampler in ENDLESS:
            raise UserError(
                f'{name} trains by epochs with {sampler}, which never ends an epoch: use '
                "train_cfg = dict(type='IterBasedTrainLoop', max_iters=...), or the sampler DefaultSampler."
            )
        return
    schedules = cfg.get('param_scheduler') or []
    for number, schedule in enumerate(schedules if isinstance(schedules, Sequence) else [schedules]):
        if schedule.get('by_epoch', True) and not schedule.get('convert_to_iter_based'):
            raise UserError(
                f'{name}: param_scheduler[{number}] ({schedule.get("type")}) counts epochs, of which a training by '
                'iterations has one, so it would never act: add by_epoch=False, and give its numbers in iterations.'
            )
    if saves and by_epoch:
        raise UserError(
            f'{name}: default_hooks.checkpoint counts epochs, of which a training by iterations has one, so nothing '
            'would be saved before its end: add by_epoch=False, and give interval in iterations.'
        )


def holds(value: Any, part: Any) -> bool:
    """Whether nested dicts and lists have a part that is equal to another value, or are it."""
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    return value == part or any(holds(item, part) for item in items)


def leaves(value: Any, place: str = '') -> Iterator[tuple[str, Any]]:
    """All values of nested dicts and lists with their dotted places."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(item, f'{place}.{key}' if place else str(key))
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from leaves(item, f'{place}[{number}]')
    else:
        yield place, value
