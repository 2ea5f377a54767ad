"""The one seam over MMEngine: all of its functions that sssd puts another in place of, with what it puts there.

Each replacement gets MMEngine's function as its first argument.  What none of them reaches, an upgrade of MMEngine may
have moved: ``tests/checkpoints/test_seam.py`` fails then.
"""

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from logging import WARNING
from typing import Any

from mmengine.hooks import CheckpointHook
from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader, checkpoint

from sssd.checkpoints import keeping, loading, saving
from sssd.checkpoints.files import newest_checkpoint


@dataclass(frozen=True)
class Seam:
    """One function of MMEngine and what stands in its place.

    Attributes:
        owner: The class or module that has it.
        name: Its name there.
        replacement: Called with the function, then with its arguments.
        parameters: Names of its parameters, as they are in the MMEngine that this was written for.
        why: What goes wrong without.
    """

    owner: Any
    name: str
    replacement: Callable
    parameters: tuple[str, ...]
    why: str


def load_checkpoint(original, cls, filename, map_location=None, logger='current'):
    """What loads, for every scheme of addresses."""
    return loading.load_checkpoint(original.__get__(cls), filename, map_location, logger)


def find_latest_checkpoint(original, path):
    """The newest one that can be read."""
    found = newest_checkpoint(path, say=lambda sentence: print_log(sentence, logger='current', level=WARNING))
    return None if found is None else str(found)


SEAMS = (
    Seam(
        CheckpointLoader,
        'load_checkpoint',
        load_checkpoint,
        ('cls', 'filename', 'map_location', 'logger'),
        'a file can run code: by the real getattr, or since a refused file is read with full unpickling',
    ),
    Seam(
        checkpoint,
        'save_checkpoint',
        saving.save_checkpoint,
        ('checkpoint', 'filename', 'file_client_args', 'backend_args'),
        'a kill or a full disk leaves half a file under its final name',
    ),
    Seam(
        checkpoint,
        'find_latest_checkpoint',
        find_latest_checkpoint,
        ('path',),
        'last_checkpoint is believed, though it may be lost, empty, planted or of a moved folder',
    ),
    Seam(
        CheckpointHook,
        'before_train',
        keeping.before_train,
        ('self', 'runner'),
        'a moved folder loses its best checkpoint, a killed process leaves an old one',
    ),
    Seam(
        CheckpointHook,
        '_save_checkpoint_with_step',
        keeping.save_with_step,
        ('self', 'runner', 'step', 'meta'),
        'the old checkpoint goes before the new one is written',
    ),
    Seam(
        CheckpointHook,
        '_save_best_checkpoint',
        keeping.save_best,
        ('self', 'runner', 'metrics'),
        'the best checkpoint goes before the better one is written',
    ),
)


def install() -> None:
    """Put all replacements in place; a second call does nothing.

    Raises:
        ImportError: If MMEngine has no such function.
    """
    for seam in SEAMS:
        held = vars(seam.owner).get(seam.name)
        if held is None:
            raise ImportError(
                f'MMEngine has no {seam.owner.__name__}.{seam.name}, which sssd replaces: install one of the stacks '
                'that sssd supports (sssd/compat.py).'
            )
        original = held.__func__ if isinstance(held, classmethod) else held
        if is_installed(original):
            continue
        new = _over(original, seam.replacement)
        if inspect.isclass(seam.owner):
            setattr(seam.owner, seam.name, classmethod(new) if isinstance(held, classmethod) else new)
        else:
            for module, name in references(original):
                setattr(module, name, new)


def is_installed(function: Callable) -> bool:
    """Whether a function is one that :func:`install` has put in place."""
    return getattr(function, '_sssd_seam', False)


def references(function: Callable) -> list[tuple[Any, str]]:
    """The modules of OpenMMLab's packages that have a function in a global variable, with the variable's name."""
    modules = [
        module for name, module in list(sys.modules.items()) if name.split('.')[0] in ('mmengine', 'mmcv', 'mmdet')
    ]
    return [
        (module, name)
        for module in modules
        for name, value in list(getattr(module, '__dict__', {}).items())
        if value is function
    ]


def _over(original, replacement):
    """A function that calls the replacement with the original."""

    @wraps(original)
    def function(*args, **kwargs):
        return replacement(original, *args, **kwargs)

    function._sssd_seam = True
    return function
