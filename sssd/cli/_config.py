"""From command-line arguments to a config: mmdet's habits, mistakes in one sentence."""

import argparse
import os
from collections.abc import Sequence

from mmengine.config import Config, DictAction

from sssd.checkpoints.pretrained import fetch
from sssd.checks.config import KNOWN
from sssd.errors import UserError, first_line
from sssd.listing import keep_beside
from sssd.places import find_config, read_config


def options_of(words: Sequence[str]) -> dict:
    """Config options by their keys, of words ``key=value`` whose values are as MMEngine's tools take them.

    Raises:
        UserError: If a value cannot be read.
    """
    namespace = argparse.Namespace()
    try:
        DictAction(['--cfg-options'], 'options')(None, namespace, words)
    except RecursionError:  # DictAction's answer to a bracket that does not begin the value
        raise UserError(
            f'--cfg-options got {" ".join(words)!r}, where a value has a bracket inside: write a '
            'dict as keys of its own (model.backbone.init_cfg.type=Pretrained), a list as '
            'key="[a,b]".'
        ) from None
    return namespace.options


def load_config(args: argparse.Namespace) -> Config:
    """Read ``args.config`` and apply the arguments that both commands share.

    Raises:
        UserError: When the file is missing or cannot be read, or an option does not fit it.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = config_of(args.config)
    merge_options(cfg, args.cfg_options, args.config)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        name = os.path.splitext(os.path.basename(args.config))[0]
        cfg.work_dir = os.path.join('work_dirs', name)
    if os.path.exists(cfg.work_dir) and not os.path.isdir(cfg.work_dir):
        raise UserError(f'the work directory {cfg.work_dir} is a file: give another one with --work-dir.')
    keep_beside(cfg.work_dir)
    return cfg


def merge_options(cfg: Config, options: dict | None, config: str) -> None:
    """Override a config with options of the command line, in place.

    Raises:
        UserError: If an option does not fit it.
    """
    if options is None:
        return
    for key in options:
        variable = key.split('.')[0]
        if variable in cfg and variable not in KNOWN:
            raise UserError(
                f'--cfg-options {key}: {variable!r} is a variable of {config}, which nothing reads any more once the '
                'file is read: name the key that it is put into, such as train_cfg.max_iters, or change the file.'
            )
    try:
        cfg.merge_from_dict(options)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f'--cfg-options does not fit {config} ({first_line(error)}): look the key up in the config.'
        ) from error


def require_file(path: str | None, what: str) -> None:
    """Refuse a file that is not there; one with an address such as ``https://`` is downloaded.

    Args:
        path: The file; None passes.
        what: What the file is, for the sentence: ``'checkpoint'``.

    Raises:
        UserError: Naming it.
    """
    if path is None or os.path.isfile(os.path.expanduser(path)):
        return
    if '://' in path:
        fetch(path)
        return
    raise UserError(f'{what} {path} does not exist: check the path.')


def config_of(path: str) -> Config:
    """The config of a name that a user gave, its mistakes in one sentence.

    Raises:
        UserError: When the file is nowhere or cannot be read.
    """
    found = find_config(path)
    try:
        return read_config(found)
    except (
        OSError,
        SyntaxError,
        KeyError,
        TypeError,
        NameError,
        AttributeError,
        ValueError,
        ImportError,
        RuntimeError,
    ) as error:
        raise UserError(
            f'config file {found} cannot be read ({type(error).__name__}: {first_line(error)}): '
            'correct it, or the file in its _base_ that the message names.'
        ) from error
