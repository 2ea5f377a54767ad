"""Arguments that several commands have."""

import argparse

from sssd.errors import UserError

CFG_OPTIONS_HELP = (
    'settings that override the config, as key=value; a nested key has dots '
    '(model.backbone.depth=18), a list is written key="[a,b]" without spaces'
)
PARTS = ('teacher', 'student')
#: What of a checkpoint becomes a plain detector; first the default.
EXPORTED = ('auto', *PARTS, 'detector')
#: Where a training can be logged to, beside its own files.
LOGGERS = ('tensorboard', 'wandb', 'mlflow')
CAMERAS = ('plain', 'varied')


class CfgOptions(argparse.Action):
    """Gathers words ``key=value`` and explains malformed ones; ``sssd.cli._config.options_of`` reads their values."""

    def __call__(self, parser, namespace, values, option_string=None):
        for value in values:
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
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest) or ()), *values])


def add_cfg_options(parser: argparse.ArgumentParser, text: str = CFG_OPTIONS_HELP) -> None:
    """Config options, which ``sssd.cli._parser.parse`` makes a dict."""
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE', help=text)


def add_checkpoint_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what all commands share that read checkpoints; their ``main`` reads them inside of ``trusting``."""
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='read checkpoints whatever they hold, which runs code that is in them: only for files whose origin you '
        'trust (default: tensors, numbers and logs alone)',
    )


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what training and testing share."""
    parser.add_argument(
        '--work-dir',
        help='folder for logs and results (default: work_dir of the config, else ./work_dirs/<config name>)',
    )
    add_cfg_options(parser)
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what started the processes (default: none, a single process)',
    )
    parser.add_argument(
        '--verbose', action='store_true', help='print all that the log file gets, in place of a header and progress'
    )
    # torchrun and its predecessors write it in one or the other way.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by the launcher')


def add_device(parser: argparse.ArgumentParser) -> None:
    """Where to compute; ``sssd.cli._subject.with_device`` fills in the default."""
    parser.add_argument('--device', help='default: cuda where there is a GPU, else cpu')


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Which images, and what every command of this kind shares."""
    parser.add_argument('--ann', metavar='FILE', help='labelled annotation file in place of that of the test data')
    parser.add_argument('--img-dir', metavar='FOLDER', help='folder of its images, likewise')
    parser.add_argument('--images', type=int, metavar='N', help='only so many images, drawn by --seed (default: all)')
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    add_cfg_options(parser)


def add_detector_arguments(parser: argparse.ArgumentParser) -> None:
    """Which detector."""
    parser.add_argument('checkpoint', help='checkpoint: of a student and a teacher, of a guided or a plain detector')
    add_checkpoint_arguments(parser)
    parser.add_argument('--part', choices=PARTS, help='which of the two if it holds both (default: teacher)')
    parser.add_argument('--batch-size', type=int, default=4, help='images at a time (default: %(default)s)')
    add_device(parser)


def add_camera(parser: argparse.ArgumentParser, default: str, text: str) -> None:
    """By which camera images are taken."""
    parser.add_argument('--camera', choices=CAMERAS, default=default, help=f'{text} (default: %(default)s)')
