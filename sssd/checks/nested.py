"""Nested parts of a config that nothing would read, or that fail only when training has begun."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from mmengine.registry import OPTIMIZERS

from sssd.errors import UserError

#: Keys of dicts without a type, by the name under which such a dict stands; a name near one of them is a slip.
KEYS = dict(
    env_cfg=('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'),
    dist_cfg=('backend', 'timeout', 'init_backend'),
    mp_cfg=('mp_start_method', 'opencv_num_threads'),
    randomness=('seed', 'diff_rank_seed', 'deterministic'),
    clip_grad=('type', 'max_norm', 'norm_type', 'clip_value', 'error_if_nonfinite', 'foreach'),
    semi_test_cfg=('predict_on', 'forward_on', 'extract_feat_on'),
    default_hooks=(
        'timer', 'logger', 'param_scheduler', 'checkpoint', 'sampler_seed', 'runtime_info', 'visualization',
        'gradient_ratio', 'health',
    ),
    checkpoint=(
        'type', 'interval', 'by_epoch', 'save_optimizer', 'save_param_scheduler', 'out_dir', 'max_keep_ckpts',
        'save_last', 'save_best', 'rule', 'greater_keys', 'less_keys', 'file_client_args', 'filename_tmpl',
        'backend_args', 'published_keys', 'save_begin', 'priority',
    ),
    test_cfg=(
        'type', 'nms_pre', 'min_bbox_size', 'score_thr', 'nms', 'max_per_img', 'rpn', 'rcnn', 'mask_thr_binary',
        'max_epochs', 'max_iters', 'iou_threshold', 'max_per_image',
    ),
    train_cfg=(
        'type', 'assigner', 'sampler', 'allowed_border', 'pos_weight', 'debug', 'rpn', 'rpn_proposal', 'rcnn',
        'max_epochs', 'max_iters', 'val_interval', 'val_begin', 'by_epoch', 'dynamic_intervals',
        'ga_assigner', 'ga_sampler', 'center_ratio', 'ignore_ratio', 'reg_assigner', 'cls_assigner',
    ),
)  # fmt: skip
WEIGHTS = re.compile(r'\blambda_[sdp]?\b|\bstudent_grad\b')
#: Places of whole numbers, and the least of each.
COUNTS = (
    (r'_dataloader\.num_workers$', 0),
    (r'_dataloader\.batch_size$', 1),
    (r'^default_hooks\.logger\.interval$', 1),
)
LISTS = ('custom_hooks',)


def check_nested(cfg: Mapping, name: str) -> None:
    """Refuse misspelt keys of dicts that have no type, and parts that are missing or of the wrong kind.

    Args:
        cfg: The complete config, as a plain dict.
        name: Its name, for the sentence.

    Raises:
        UserError: For the first of its mistakes.
    """
    for place, value in dicts(cfg):
        own = place.rpartition('.')[2]
        refuse_slips(name, place, value, KEYS.get(own, ()))
        if str(value.get('type')).rpartition('.')[2] == 'MultiBranch':
            refuse_slips(name, place, value, ('type', 'branch_field', *value.get('branch_field', ())))
        for key, item in value.items():
            check_value(name, f'{place}.{key}' if place else str(key), item)
    check_parts(cfg, name)


def refuse_slips(name: str, place: str, value: Mapping, known: tuple[str, ...]) -> None:
    """Refuse a key that is none of those known, but nearly one."""
    for key in value if known else ():
        near = get_close_matches(str(key), known, n=1, cutoff=0.75)
        if key not in known and near:
            raise UserError(f'{name}: {place} has a key {key!r}, which nothing reads: write {near[0]!r}.')


def check_value(name: str, place: str, value: Any) -> None:
    """Refuse numbers out of their range."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and value < 0 and WEIGHTS.search(place) and 'custom_hooks' in place:
        raise UserError(f'{name}: {place} is {value}, but weights of losses must be at least 0.')
    for pattern, least in COUNTS:
        if value is not None and re.search(pattern, place) and (not isinstance(value, int) or value < least):
            raise UserError(f'{name}: {place} is {value!r}, but it must be a whole number of at least {least}.')
    if place == 'default_hooks.checkpoint.interval' and value == 0:
        raise UserError(f'{name}: {place} is 0, so no checkpoint would be written: give a number of iterations.')
    if re.search(r'optimizer\.lr$', place) and not isinstance(value, (int, float)):
        raise UserError(f'{name}: {place} is {value!r}, but a learning rate is a number.')


def check_parts(cfg: Mapping, name: str) -> None:
    """Refuse a config in which a part is missing that is asked for late, or is no list."""
    for key in LISTS:
        if cfg.get(key) is not None and not isinstance(cfg[key], (list, tuple)):
            raise UserError(f'{name}: {key} is no list: put it into brackets.')
    wrapper, loader = cfg['optim_wrapper'], cfg['train_dataloader']
    for key, part in (('optim_wrapper', wrapper), ('train_dataloader', loader)):
        if not isinstance(part, Mapping):
            raise UserError(f'{name}: {key} is {part!r}, but must be a dict to train with.')
    if 'optimizer' not in wrapper and 'constructor' not in wrapper:
        raise UserError(f"{name}: optim_wrapper has no optimizer: add optimizer=dict(type='SGD', lr=...).")
    kind = (wrapper.get('optimizer') or {}).get('type')
    if isinstance(kind, str) and OPTIMIZERS.get(kind) is None:
        near = get_close_matches(kind, list(OPTIMIZERS.module_dict), n=1, cutoff=0.6)
        raise UserError(f'{name}: there is no optimizer {kind!r}' + (f': is it {near[0]!r}?' if near else '.'))
    for part, others in (('dataset', ()), ('sampler', ('batch_sampler',))):
        if not any(loader.get(key) for key in (part, *others)):
            raise UserError(f'{name}: train_dataloader has no {part}: add it, or take it from a file in _base_.')
    schedules = cfg.get('param_scheduler') or []
    for number, schedule in enumerate([schedules] if isinstance(schedules, Mapping) else schedules):
        if 'type' not in schedule:
            raise UserError(f"{name}: param_scheduler[{number}] has no type: add one, such as type='MultiStepLR'.")
    for place, value in dicts(loader['dataset'], 'train_dataloader.dataset'):
        if {'ann_file', 'data_root'} & value.keys() and 'type' in value and 'pipeline' not in value:
            raise UserError(f'{name}: {place} ({value["type"]}) has no pipeline, so nothing would load its images.')


def dicts(value: Any, place: str = '') -> Iterator[tuple[str, Mapping]]:
    """All dicts in nested dicts and lists, with their dotted places."""
    if isinstance(value, Mapping):
        yield place, value
    pairs = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    )
    for key, item in pairs:
        inner = f'[{key}]' if isinstance(value, (list, tuple)) else f'.{key}' if place else str(key)
        yield from dicts(item, place + inner)
