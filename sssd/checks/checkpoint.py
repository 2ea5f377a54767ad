"""Does a checkpoint fit the model?  Asked before anything is trained or tested on it."""

import logging
import os
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import BaseModule, BaseTTAModel, is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from torch import nn

from sssd.checkpoints.content import check_resumable
from sssd.checkpoints.loading import read_checkpoint
from sssd.errors import UserError

SHOWN = 3
COUNTER = 'num_batches_tracked'
#: Where a training keeps the score of its pseudo-labels, which no detector has.
SCORE = 'pseudo_labels.'
#: Parts of an SED, whose labelled branch may be guided.
PARTS = ('student.', 'teacher.', 'guidance.', SCORE, 'scale_losses.', 'distill_losses.')
#: Parts of a guided detector, the plain one first.
GUIDED = ('detector.', 'guidance.')


@dataclass
class Mismatch:
    """How a checkpoint differs from a model; all three empty when it fits.

    Attributes:
        missing: Keys of the model that the checkpoint lacks.
        unexpected: Keys of the checkpoint that the model does not know.
        shapes: Keys of both with different shapes, with the shapes.
        total: How many keys the model has, counters of batches apart.
    """

    missing: list[str]
    unexpected: list[str]
    shapes: list[str]
    total: int

    def __bool__(self):
        return bool(self.missing or self.unexpected or self.shapes)

    @property
    def nothing_fits(self):
        """Whether not one weight of the model would be loaded."""
        return len(self.missing) + len(self.shapes) >= self.total

    def __str__(self):
        parts = (
            (self.missing, 'of the model are missing in it'),
            (self.unexpected, 'of it are unknown to the model'),
            (self.shapes, 'have another shape'),
        )
        return '; '.join(f'{len(keys)} keys {text} (first: {", ".join(keys[:SHOWN])})' for keys, text in parts if keys)


def compare(model: nn.Module, state_dict: Mapping[str, torch.Tensor]) -> Mismatch:
    """Try a state dict on a model.

    The model's own loading is used, so that models which rename keys while
    they load are judged by what they make of them.

    Args:
        model: The model, without a wrapper; it may be left with the weights.
        state_dict: Weights by key.
    """
    own, renamed = model.state_dict(), []
    # Called after the model's own hooks, which rename keys in a copy.
    handle = model._register_load_state_dict_pre_hook(lambda seen, *rest: renamed.extend(seen))
    try:
        result = model.load_state_dict(state_dict, strict=False)
        missing, unexpected, shapes = result.missing_keys, result.unexpected_keys, []
    except RuntimeError as error:
        found = re.findall(
            r'size mismatch for (\S+): .*?shape (\S+\(.*?\)) from checkpoint, '
            r'the shape in current model is (\S+\(.*?\))\.',
            str(error),
        )
        if not found:
            raise
        shapes = [f'{key} {_plain(theirs)} instead of {_plain(ours)}' for key, theirs, ours in found]
        missing = [key for key in own if key not in renamed]
        unexpected = [key for key in renamed if key not in own]
    finally:
        handle.remove()
    missing, unexpected = ([key for key in keys if matters(key)] for keys in (missing, unexpected))
    return Mismatch(missing, unexpected, shapes, sum(map(matters, own)))


def matters(key: str) -> bool:
    """Whether what a model says depends on a key: not on counters, which old checkpoints lack, nor on a score."""
    return not key.endswith(COUNTER) and not key.startswith(SCORE)


def weights_of(checkpoint: Mapping) -> Mapping[str, torch.Tensor]:
    """The state dict in a checkpoint, without the prefix of a model wrapper."""
    state_dict = checkpoint.get('state_dict', checkpoint)
    plain = OrderedDict((re.sub(r'^module\.', '', key), value) for key, value in state_dict.items())
    metadata = getattr(state_dict, '_metadata', None)
    if metadata is not None:
        plain._metadata = metadata
    return plain


def _loads_as_it_is(module: nn.Module) -> bool:
    """Whether MMEngine initialises a module by a file's weights under their own names."""
    kind = type(module)
    return (
        getattr(kind, 'init_weights', None) is BaseModule.init_weights
        and kind._load_from_state_dict is nn.Module._load_from_state_dict
    )


def refuse_weights_of_nothing(model: nn.Module) -> None:
    """Refuse a file of an ``init_cfg`` of type ``Pretrained`` of which not one weight fits: MMEngine would only log it.

    Not looked at are files that are not on this machine's disk, such as ``torchvision://resnet50``, and modules that
    load or convert weights in a way of their own, as mmdet's transformers do.

    Args:
        model: A model before its weights are initialised.

    Raises:
        UserError: Naming the part and the file, and the ``prefix`` to give where the weights stand under one.
    """
    looked_at = set()
    for name, module in model.named_modules():
        config = getattr(module, 'init_cfg', None)
        if not isinstance(config, dict) or config.get('type') != 'Pretrained' or not _loads_as_it_is(module):
            continue
        path, prefix = config['checkpoint'], config.get('prefix') or ''
        if (path, prefix) in looked_at or not os.path.isfile(path):
            continue
        looked_at.add((path, prefix))
        state_dict = weights_of(read_checkpoint(path))
        own, start = module.state_dict(), f'{prefix.rstrip(".")}.' if prefix else ''
        if any(
            f'{start}{key}' in state_dict and state_dict[f'{start}{key}'].shape == value.shape
            for key, value in own.items()
        ):
            continue
        first = next(iter(own))
        places = [key.removesuffix(first) for key in state_dict if key.endswith(f'.{first}')]
        remedy = f"give init_cfg prefix='{places[0]}', where it has them" if places else 'name another file'
        raise UserError(
            f'no weight of {path}, the checkpoint of init_cfg of {name} ({type(module).__name__}), fits it: {remedy}.'
        )


class CheckpointGuard(Hook):
    """Refuses a checkpoint of another model when the Runner loads it.

    Args:
        filename: The checkpoint's name, for the sentence.
        strict: Refuse any difference.  Otherwise, as when another training's
            weights are a start, a part that fits is enough and the rest is
            warned of.
        resume: Whether a training goes on from it.
    """

    priority = 'VERY_LOW'

    def __init__(self, filename: str, strict: bool = True, resume: bool = False) -> None:
        self.filename = filename
        self.strict = strict
        self.resume = resume

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Compare the loaded file with the Runner's model and classes.

        Raises:
            UserError: Naming the file, the first keys or classes and the remedy.
        """
        if self.resume:
            check_resumable(checkpoint, self.filename)
        self._compare_classes(classes_of(runner), checkpoint)
        model = runner.model
        while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
            model = model.module
        state_dict = weights_of(checkpoint)
        mismatch = compare(model, state_dict)
        if not mismatch:
            return
        if self.strict or mismatch.nothing_fits:
            raise UserError(
                f'checkpoint {self.filename} is not of the model in the config: {mismatch}; '
                f'{self._remedy(state_dict, model, mismatch)}.'
            )
        told = f'checkpoint {self.filename} is loaded in part: {mismatch}'
        print_log(told, logger='current', level=logging.WARNING)

    def _compare_classes(self, ours, checkpoint):
        """Refuse, or tell where weights are a start, the same classes in another order; tell other names of as many."""
        meta = (checkpoint.get('meta') or {}).get('dataset_meta') or {}
        theirs = list(meta.get('classes') or ())
        if not ours or len(theirs) != len(ours) or theirs == ours:
            return
        if set(theirs) != set(ours):
            told = f'was trained with the classes {", ".join(theirs)}, and the config has {", ".join(ours)}'
        else:
            told = f'has the classes of the config in another order: {", ".join(theirs)}'
            if self.strict:
                raise UserError(
                    f'checkpoint {self.filename} {told}; give metainfo of the data sets its order, or every class '
                    'would be told as another.'
                )
        print_log(f'checkpoint {self.filename} {told}', logger='current', level=logging.WARNING)

    def _remedy(self, state_dict, model, mismatch):
        """What to do about a checkpoint that does not fit."""
        if all(key.startswith('guidance.') for key in (*mismatch.missing, *mismatch.unexpected, *mismatch.shapes)):
            return (
                'its detector fits and its label side does not, so give the guide the options that it was trained with '
                "(docs/sssd.md has those of the form before LGD's public one), or take the detector out with "
                f'`python -m sssd extract {self.filename} OUT.pth` and test that with its own config'
            )
        for parts, held in ((PARTS, 'a student and a teacher'), (GUIDED, 'a detector and its label side')):
            theirs = all(key.startswith(parts) for key in state_dict)
            ours = any(key.startswith(parts[0]) for key in model.state_dict())
            if theirs and not ours:
                return (
                    f'it holds {held}, so test it with the config of its training, or take a plain detector out '
                    f'with `python -m sssd extract {self.filename} OUT.pth`'
                )
        own = {key.split('.')[0] for key in model.state_dict()}
        held = {key.split('.')[0] for key in state_dict}
        lacks = [part for part in ('student', 'teacher') if part in own - held and own & held]
        if lacks:
            return f'it lacks the {lacks[0]}, so take the checkpoint that the training wrote, not a part of it'
        return 'use the config it was trained with, or another checkpoint'


def classes_of(runner: Runner) -> list[str]:
    """The classes of the data set that a Runner trains or tests with; none where it does not name them."""
    loops = (getattr(runner, f'_{part}_loop', None) for part in ('train', 'test'))
    loop = next((loop for loop in loops if isinstance(loop, BaseLoop)), None)
    metainfo = getattr(getattr(getattr(loop, 'dataloader', None), 'dataset', None), 'metainfo', None) or {}
    classes = metainfo.get('classes') or ()
    return [] if isinstance(classes, str) else list(classes)


def _plain(shape):
    """``torch.Size([2, 3])`` as ``(2, 3)``."""
    return shape.replace('torch.Size([', '(').replace('])', ')')
