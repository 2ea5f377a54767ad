"""SED and SSSD on MMDetection: importing this registers all of its parts.

A config needs only ``custom_imports = dict(imports=['sssd'])``.
"""

from importlib import import_module

from sssd.compat import check_stack, optional_parts_unmentioned, trust_checkpoint_types

__version__ = '0.1.0'

REGISTERING = ('sssd.data', 'sssd.optim', 'sssd.hooks', 'sssd.losses', 'sssd.views', 'sssd.guides', 'sssd.detectors')


def register_all_modules() -> None:
    """Import every subpackage that adds something to a registry."""
    with optional_parts_unmentioned():
        for name in REGISTERING:
            import_module(name)


if check_stack() == 'official releases':
    trust_checkpoint_types()
register_all_modules()
