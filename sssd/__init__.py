"""SED and SSSD on MMDetection: importing this registers all of its parts.

A config needs only ``custom_imports = dict(imports=['sssd'])``.
"""

from importlib import import_module

from sssd.compat import check_stack

__version__ = '0.1.0'

REGISTERING = ('sssd.data', 'sssd.optim', 'sssd.hooks', 'sssd.losses', 'sssd.views', 'sssd.guides', 'sssd.detectors')


def register_all_modules() -> None:
    """Import every subpackage that adds something to a registry."""
    for name in REGISTERING:
        import_module(name)


check_stack()
import_module('sssd.checkpoints.seam').install()
register_all_modules()
