"""From command-line arguments to a config: mmdet's habits, mistakes in one sentence."""

import argparse
import os

from mmengine.config import Config, DictAction

from sssd.errors import UserError
from sssd.places import find_config, read_config

CFG_OPTIONS_HELP = (
    'settings that override the config, as key=value; a nested key has dots '
    '(model.backbone.depth=18), a list is written key="[a,b]" without spaces'
)


class CfgOptions(DictAction):
    """``DictAction`` that explains a malformed ``key=value``."""

    def __call__(self, parser, namespace, values, option_string=None):
        for value in values or ():
            key, equals, _ = value.partition('=')
            if not key or not equals:
                raise UserError(
                    f'{option_string} got {value!r}, which is not of the form key=value: '
                    'write for instance train_cfg.max_iters=100, without spaces.'
                )
            if any(value.count(left) != value.count(right) for left, right in ('()', '[]')):
                raise UserError(
                    f'{option_string} got {value!r}, where a bracket is not closed: put the value in '
                    'quotes, as in key="[a,b]", without spaces.'
                )
        try:
            super().__call__(parser, namespace, values, option_string)
        except RecursionError:  # DictAction's answer to a bracket that does not begin the value
            raise UserError(
                f'{option_string} got {" ".join(values)!r}, where a value has a bracket inside: write a '
                'dict as keys of its own (model.backbone.init_cfg.type=Pretrained), a list as '
                'key="[a,b]".'
            ) from None


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what training and testing share."""
    parser.add_argument(
        '--work-dir',
        help='folder for logs and results (default: work_dir of the config, else ./work_dirs/<config name>)',
    )
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE', help=CFG_OPTIONS_HELP)
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what started the processes (default: none, a single process)',
    )
    # torchrun and its predecessors write it in one or the other way.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by the launcher')


def add_checkpoint_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what all commands share that read checkpoints; their ``main`` reads them inside of ``trusting``."""
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='read checkpoints whatever they hold, which runs code that is in them: only for files whose origin you '
        'trust (default: tensors, numbers and logs alone)',
    )


def load_config(args: argparse.Namespace) -> Config:
    """Read ``args.config`` and apply the arguments that both commands share.

    Raises:
        UserError: When the file is missing or cannot be read, or an option does not fit it.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = config_of(args.config)
    if args.cfg_options is not None:
        try:
            cfg.merge_from_dict(args.cfg_options)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UserError(
                f'--cfg-options does not fit {args.config} ({first_line(error)}): look the key up in the config.'
            ) from error
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        name = os.path.splitext(os.path.basename(args.config))[0]
        cfg.work_dir = os.path.join('work_dirs', name)
    if os.path.exists(cfg.work_dir) and not os.path.isdir(cfg.work_dir):
        raise UserError(f'the work directory {cfg.work_dir} is a file: give another one with --work-dir.')
    return cfg


def require_file(path: str | None, what: str) -> None:
    """Refuse a local file that is not there; addresses such as ``https://`` pass.

    Args:
        path: The file; None passes.
        what: What the file is, for the sentence: ``'checkpoint'``.
    """
    if path is None or '://' in path or os.path.isfile(os.path.expanduser(path)):
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


def first_line(error):
    """The first line of an error's text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
