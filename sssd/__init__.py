"""SED and SSSD on MMDetection: importing this registers all of its parts.

A config needs only ``custom_imports = dict(imports=['sssd'])``.

In a process that is the command ``sssd`` (or ``python -m sssd``) the import does nothing yet: the command parses its
words first, so that help and mistakes come at once, and registers all parts before it runs what needs them.
"""

import os
import sys
from functools import cache
from importlib import import_module

__version__ = '0.1.0'

#: The subpackages and modules that add something to a registry of MMEngine's.
REGISTERING = (
    'sssd.checkpoints.pretrained',
    'sssd.data',
    'sssd.evaluation',
    'sssd.optim',
    'sssd.hooks',
    'sssd.losses',
    'sssd.views',
    'sssd.guides',
    'sssd.detectors',
)


def register_all_modules() -> None:
    """Import every subpackage that adds something to a registry."""
    from sssd.compat import optional_parts_unmentioned

    with optional_parts_unmentioned():
        for name in REGISTERING:
            import_module(name)


@cache
def check_installation() -> None:
    """Check that a supported MM stack is installed, and have it read and write checkpoints safely.

    Raises:
        ImportError: With one sentence that names what to install and how.
    """
    from sssd.compat import check_stack

    check_stack()
    import_module('sssd.checkpoints.seam').install()


def is_command() -> bool:
    """Whether this process was started as ``sssd`` or ``python -m sssd``.

    In doubt it was not: then all is registered at once, which is right everywhere and slow for the command alone.
    Python says ``-m`` in place of the program while it looks for the module to run. What multiprocessing starts has
    its parent's words and is no command.
    """
    multiprocessing = sys.modules.get('multiprocessing')
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        return False
    program, words = (getattr(sys, 'argv', None) or [''])[0], sys.orig_argv
    if program == '-m':
        return ('-m', __name__) in zip(words, words[1:])
    scripts = os.path.realpath(os.path.dirname(sys.executable))
    return os.path.basename(program) == __name__ and os.path.dirname(os.path.realpath(program)) == scripts


if not is_command():
    check_installation()
    register_all_modules()
