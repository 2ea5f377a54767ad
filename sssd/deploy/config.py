"""The config of a detector alone: what mmdet needs to build, feed and evaluate it, and nothing of its training."""

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from torch import nn

from sssd.deploy.literals import read_literals, write_literals
from sssd.deploy.parts import plain_config
from sssd.errors import UserError, first_line

OURS = 'sssd'
#: What only a start of a training needs.
_STARTS = ('init_cfg', 'pretrained')
#: What is ours and finds or measures the same as the one of mmdet by this name.
_TWINS = {f'{OURS}.{name}': name for name in ('CocoMetric', 'PackDetInputs', 'RandomFlip')}
_LOADER = ('batch_size', 'num_workers', 'persistent_workers', 'drop_last')


def config_of_checkpoint(path: str | Path, meta: Mapping) -> tuple[Config, str]:
    """The config that a checkpoint was trained with, and where it was found; nothing in it is run.

    Looked for in the checkpoint itself, which is of its very run, then in the one config of its folder.

    Args:
        path: The checkpoint.
        meta: Its ``meta``.

    Raises:
        UserError: If there is none, or it is no plain dump.
    """
    if isinstance(meta.get('cfg'), str) and meta['cfg'].strip():
        where = f'the config in checkpoint {path}'
        return Config(read_literals(meta['cfg'], where)), where
    found = sorted(Path(path).resolve().parent.glob('*.py'))
    if len(found) != 1:
        held = f'{len(found)} of them' if found else 'none'
        raise UserError(
            f'checkpoint {path} holds no config, and its folder has {held}: name the config of its training with '
            '--config.'
        )
    return Config(read_literals(found[0].read_text('utf-8'), f'config file {found[0]}')), str(found[0])


def classes_of(cfg: Config, meta: Mapping) -> tuple[str, ...]:
    """The names of the classes: what the checkpoint says, else the test data of the config.

    Raises:
        UserError: If neither tells them.
    """
    told = meta.get('dataset_meta') or {}
    data = (cfg.get('test_dataloader') or cfg.get('val_dataloader') or {}).get('dataset') or {}
    classes = told.get('classes') or told.get('CLASSES') or (data.get('metainfo') or {}).get('classes')
    if not classes and data.get('type'):  # those of COCO and VOC are the data set's own
        classes = (getattr(DATASETS.get(data['type']), 'METAINFO', None) or {}).get('classes')
    if isinstance(classes, str):
        classes = (classes,)
    if not classes:
        raise UserError(
            'neither the checkpoint nor the config names the classes: give the test data of the config a '
            'metainfo=dict(classes=(...)).'
        )
    return tuple(classes)


def validation_of(cfg: Config) -> dict[str, str] | None:
    """The COCO file and the images on which a training was validated; None if there are none, or of another form."""
    dataset = (cfg.get('val_dataloader') or {}).get('dataset') or {}
    file, images = str(dataset.get('ann_file') or ''), (dataset.get('data_prefix') or {}).get('img')
    if not file.endswith('.json') or images is None:
        return None
    root = dataset.get('data_root') or ''
    return dict(labels=os.path.join(root, file), images=os.path.join(root, images))


def detector_config(cfg: Config, classes: Sequence[str]) -> dict[str, Any]:
    """The values of the config of the detector alone.

    Args:
        cfg: The config of a training: of an SED, a guided detector or a plain one.
        classes: The names of its classes.

    Raises:
        UserError: If the config lacks what is needed, or something of sssd would be left in it.
    """
    if not isinstance(cfg.get('model'), dict) or 'type' not in cfg.model:
        raise UserError('the config has no model: name the config of the training with --config.')
    part = 'test' if cfg.get('test_dataloader') else 'val'
    loader = cfg.get(f'{part}_dataloader')
    if not loader or 'pipeline' not in loader.dataset:
        raise UserError(
            'the config has no test_dataloader over one data set, whose pipeline tells how images are loaded: name '
            'one that has with --config.'
        )
    dataset = dict(typed(loader.dataset), test_mode=True)
    dataset['metainfo'] = dict(dataset.get('metainfo') or {}, classes=tuple(classes))
    dataset['pipeline'] = [_plain_step(step) for step in _plain_types(dataset['pipeline'])]
    sampler = loader.get('sampler') or {}
    if str(sampler.get('type', OURS)).startswith(OURS):
        sampler = dict(type='DefaultSampler', shuffle=False)
    values: dict[str, Any] = dict(default_scope='mmdet')
    imports = foreign_imports(cfg)
    if imports:
        values['custom_imports'] = dict(imports=imports, allow_failed_imports=False)
    values['model'] = _without(typed(plain_config(cfg.model)), _STARTS)
    values['test_dataloader'] = dict(
        {key: loader[key] for key in _LOADER if key in loader}, sampler=typed(sampler), dataset=dataset
    )
    if cfg.get(f'{part}_evaluator'):
        values['test_evaluator'] = _plain_types(typed(cfg[f'{part}_evaluator']))
    values['test_cfg'] = dict(type='TestLoop')
    values['visualizer'] = dict(
        type='DetLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer'
    )
    _refuse_ours(values)
    return values


def build_plain(values: dict[str, Any]) -> nn.Module:
    """The detector of a config by mmdet alone; what only training needs is taken out of ``values`` if it can be.

    Raises:
        UserError: If it cannot be built.
    """
    init_default_scope('mmdet')
    bare = {key: value for key, value in values['model'].items() if key != 'train_cfg'}
    for tried in (bare, dict(bare, train_cfg=None)):  # two-stage detectors want to be told that there is none
        try:
            model = MODELS.build(ConfigDict(copy.deepcopy(tried)))
        except Exception:  # a detector that asks for its train_cfg keeps it
            continue
        values['model'] = tried
        return model
    try:
        return MODELS.build(ConfigDict(copy.deepcopy(values['model'])))
    except (KeyError, TypeError, ValueError, AttributeError, AssertionError, ImportError) as error:
        raise UserError(
            f'the plain detector of the config cannot be built ({first_line(error)}): name a config with --config that '
            'imports what it needs.'
        ) from error


def text_of(values: Mapping[str, Any], head: str) -> str:
    """The config as a file, under a line that says what it is of."""
    return f'# {head}\n{write_literals(values)}'


def typed(value: Any) -> Any:
    """The same without MMEngine's types of dicts, and ``type`` first, as people write it: dumps sort the keys."""
    if isinstance(value, Mapping):
        keys = sorted(value, key=lambda key: key != 'type')
        return {key: typed(value[key]) for key in keys}
    if isinstance(value, (list, tuple)):
        return type(value)(map(typed, value))
    return value


def _without(value: Any, keys: Sequence[str]) -> Any:
    """The same without some keys, at any depth."""
    if isinstance(value, dict):
        return {key: _without(inner, keys) for key, inner in value.items() if key not in keys}
    if isinstance(value, (list, tuple)):
        return type(value)(_without(inner, keys) for inner in value)
    return value


def _plain_step(step: dict) -> dict:
    """A step of a pipeline; sssd's loading of images, which only words its errors otherwise, becomes mmcv's."""
    if step['type'] != f'{OURS}.LoadImage':
        return step
    return dict({key: value for key, value in step.items() if key != 'replace'}, type='LoadImageFromFile')


def _plain_types(value: Any) -> Any:
    """The same with mmdet's own in the place of :data:`_TWINS`, at any depth."""
    if isinstance(value, dict):
        kept = {key: _plain_types(inner) for key, inner in value.items()}
        return dict(kept, type=_TWINS[kept['type']]) if kept.get('type') in _TWINS else kept
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain_types, value))
    return value


def foreign_imports(cfg: Config) -> list[str]:
    """What a config imports beside sssd."""
    told = (cfg.get('custom_imports') or {}).get('imports') or []
    told = [told] if isinstance(told, str) else told
    return [name for name in told if name.split('.')[0] != OURS]


def _refuse_ours(value: Any, where: str = '') -> None:
    """Refuse a type of sssd: plain mmdet does not know it.

    Raises:
        UserError: Naming the key.
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            _refuse_ours(inner, f'{where}.{key}' if where else str(key))
    elif isinstance(value, (list, tuple)):
        for position, inner in enumerate(value):
            _refuse_ours(inner, f'{where}[{position}]')
    elif where.endswith('.type') and isinstance(value, str) and value.startswith(f'{OURS}.'):
        raise UserError(
            f'{where} of the detector is {value}, which plain mmdet does not have: name a config without it with '
            '--config.'
        )
