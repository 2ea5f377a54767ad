"""From a config and a checkpoint to what is analysed: one plain detector and the images it is asked about."""

import argparse
import contextlib
import copy
import io
import os
from collections.abc import Mapping

import torch
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from sssd.checkpoints.loading import read_checkpoint
from sssd.checks.checkpoint import compare, weights_of
from sssd.checks.data import check_data
from sssd.cli._config import require_file
from sssd.deploy.parts import plain_config, plain_part
from sssd.errors import UserError, first_line
from sssd.registry import MODELS

#: Arguments of numbers, with the least and the largest value of each. X^ of s = 8 has one pixel for 65536 of X.
RANGES = dict(
    images=(1, None),
    num_images=(1, None),
    batch_size=(1, None),
    bins=(1, None),
    shift=(1, 8),
    max_shift=(0, 16),
    seed=(0, 2**32 - 1),
)


def with_device(args: argparse.Namespace) -> argparse.Namespace:
    """Fill in where to compute, unless the user said it."""
    if getattr(args, 'device', '') is None:
        args.device = 'cuda' if torch.cuda.is_available() else 'cpu'
    return args


def check_numbers(args: argparse.Namespace) -> None:
    """Refuse numbers outside of :data:`RANGES`, and a device that PyTorch does not have.

    Raises:
        UserError: Naming the argument.
    """
    for name, (least, most) in RANGES.items():
        value, word = getattr(args, name, None), f'--{name.replace("_", "-")}'
        if value is not None and value < least:
            raise UserError(f'{word} is {value}, but it has to be at least {least}.')
        if value is not None and most is not None and value > most:
            raise UserError(f'{word} is {value}, but it can be at most {most}.')
    device = getattr(args, 'device', 'cpu')
    try:
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(
            f'--device {device} cannot be used here ({first_line(error)}): name another, for instance cpu.'
        ) from error


def build_model(cfg: Config, settings: Mapping) -> nn.Module:
    """A model of a config, which may be a part of the whole one.

    Raises:
        UserError: If there is no such type of model, or it has other arguments.
    """
    try:
        return MODELS.build(copy.deepcopy(dict(settings)))
    except UserError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, AssertionError) as error:
        raise UserError(
            f'the model of {cfg.filename} cannot be built ({first_line(error)}): correct its config.'
        ) from error


def require_model(cfg: Config) -> None:
    """Refuse a config without a model.

    Raises:
        UserError: Naming the config.
    """
    if not isinstance(cfg.get('model'), dict) or 'type' not in cfg.model:
        raise UserError(f'{cfg.filename} has no model: name a config that can be trained.')


def build_detector(cfg: Config, device: str = 'cpu', shift: int = 0) -> nn.Module:
    """The detector of a config in evaluation mode, with weights as they are made."""
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    require_model(cfg)
    return build_model(cfg, plain_config(cfg.model, shift)).to(device).eval()


def read_weights(checkpoint: str) -> Mapping[str, torch.Tensor]:
    """The state dict in a checkpoint file.

    Raises:
        UserError: If there is no such file, or it is no checkpoint that can be read.
    """
    require_file(checkpoint, 'checkpoint')
    return weights_of(read_checkpoint(checkpoint))


def load_detector(
    cfg: Config, checkpoint: str, part: str | None = None, device: str = 'cpu', shift: int = 0
) -> tuple[nn.Module, str]:
    """The detector of a config with weights of a checkpoint, and the name of the part that they are of.

    Args:
        cfg: Config of an SED, a guided detector or a plain one.
        checkpoint: A checkpoint of any of these; an extracted one fits too.
        part: ``'teacher'`` or ``'student'``; None takes the teacher if there is one.
        device: Where the detector goes.
        shift: Halvings that its input has to bear.

    Raises:
        UserError: If there is no such file or part, or the weights are of another model.
    """
    weights = read_weights(checkpoint)
    name, inner = plain_part(weights, part)
    if not inner and part is not None:
        raise UserError(f'checkpoint {checkpoint} has no weights of a {part}: leave --part out.')
    detector = build_detector(cfg, 'cpu', shift)
    mismatch = compare(detector, inner or weights)
    if mismatch:
        raise UserError(
            f'checkpoint {checkpoint} is not of the detector in the config: {mismatch}; use the config it '
            'was trained with, or another checkpoint.'
        )
    return detector.to(device), name if inner else 'detector'


def build_dataset(cfg: Config, ann: str | None = None, img_dir: str | None = None):
    """The test (else validation) data set of a config, perhaps over other files.

    Raises:
        UserError: If the config has neither, a file is missing, or classes do not fit; see :func:`check_data`.
    """
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    loader = cfg.get('test_dataloader') or cfg.get('val_dataloader')
    if not loader:
        raise UserError(
            f'{cfg.filename} has no test_dataloader, whose pipeline tells how images are loaded: name a '
            'config that can be tested.'
        )
    require_model(cfg)
    settings = copy.deepcopy(loader.dataset)
    if 'VOC' in settings.type and (ann, img_dir) != (None, None):
        raise UserError(
            f'--ann and --img-dir name a COCO file and its images, but {cfg.filename} is tested on a '
            f'{settings.type}, whose files are of another kind: name others with --cfg-options '
            'test_dataloader.dataset.ann_file=... and the like.'
        )
    if ann is not None:
        require_file(ann, 'annotation file')
        settings.ann_file = os.path.abspath(ann)
    if img_dir is not None:
        if not os.path.isdir(img_dir):
            raise UserError(f'image folder {img_dir} does not exist: check --img-dir.')
        settings.data_prefix = dict(img=os.path.abspath(img_dir))
    check_data(dict(model=cfg.model, test_dataloader=dict(dataset=settings)), ('test',))
    with contextlib.redirect_stdout(io.StringIO()):
        return DATASETS.build(settings)
