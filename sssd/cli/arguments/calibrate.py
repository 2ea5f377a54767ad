"""What ``sssd calibrate`` takes."""

import argparse

from sssd.calibration.search import Goal
from sssd.cli.arguments._shared import add_cfg_options, add_checkpoint_arguments

HELP = 'find the weights of losses: by their gradients, or the share of the distance'
DESCRIPTION = (
    'Find weights of losses and write a config that trains with them. For SED: lambda_s and lambda_d whose gradients '
    "are a wanted ratio of the supervised loss's, measured after a short training by labels alone. For a guided model: "
    'by a binary search over short trainings, the lambda_ at which the distance is a wanted share of the loss (SSSD, '
    'Sec. 3.2); called again, it goes on where it was interrupted. SED with guidance: both.'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument('config', help='config file with SED or a guided model')
    add_ratio_arguments(parser.add_argument_group('by gradients'))
    parser.add_argument('--share', type=float, help=f'wanted share of the distance (default: {Goal.share})')
    parser.add_argument(
        '--tolerance', type=float, default=Goal.tolerance, help='how far from it is good enough (default: %(default)s)'
    )
    parser.add_argument(
        '--iterations',
        type=int,
        default=300,
        help='iterations of each training; the share is its mean over their second half (default: %(default)s)',
    )
    parser.add_argument('--low', type=float, default=Goal.low, help='smallest lambda at first (default: %(default)s)')
    parser.add_argument('--high', type=float, default=Goal.high, help='largest lambda at first (default: %(default)s)')
    parser.add_argument('--seed', type=int, help="default: the config's, else 0")
    parser.add_argument(
        '--out',
        metavar='FILE.py',
        help='config to write, its record beside it as FILE.json (default: <work_dir>_calibrated.py)',
    )
    parser.add_argument('--work-dir', help='default: work_dir of the config, else ./work_dirs/<config name>')
    add_cfg_options(parser)
    parser.set_defaults(launcher='none', local_rank=0)
    add_checkpoint_arguments(parser)


def add_ratio_arguments(group) -> None:
    """The arguments of a calibration by gradients."""
    group.add_argument(
        '--ratio',
        type=float,
        help='wanted norm of the gradients of scale and distill over that of the supervised loss, and of the guidance '
        '(default: 0.5 for the former two; the guidance has its share)',
    )
    for branch, weight in (
        ('scale', 'lambda_s'),
        ('distill', 'lambda_d'),
        ('pseudo', 'lambda_p'),
        ('guide', 'lambda_'),
    ):
        group.add_argument(f'--{branch}-ratio', type=float, metavar='RATIO', help=f'the same for {weight} alone')
    group.add_argument(
        '--start-iterations',
        type=int,
        metavar='N',
        help='iterations by labels alone before (default: 0 if the config has load_from, else 200)',
    )
    group.add_argument('--batches', type=int, default=20, help='batches to average over (default: %(default)s)')
