"""The configs of the repository: each parsed once, built without weights."""

import copy
from functools import cache
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from sssd.registry import MODELS

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


@cache
def read(name):
    """A config, parsed once; do not change it."""
    return Config.fromfile(str(CONFIGS / name))


def build(name, device='cpu'):
    """The model of a config, and the config. Weights stay random: nothing is downloaded; on ``'meta'`` it has none."""
    cfg = copy.deepcopy(read(name))
    init_default_scope(cfg.default_scope)
    with torch.device(device):
        return MODELS.build(cfg.model), cfg


def pipelines(node):
    """All pipelines below a node of a config, those of branches included."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == 'pipeline':
                yield value
            yield from pipelines(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from pipelines(value)


def transform(pipeline, kind):
    """The one transform of this type, whatever its scope."""
    (found,) = [step for step in pipeline if step['type'].split('.')[-1] == kind.split('.')[-1]]
    return found
