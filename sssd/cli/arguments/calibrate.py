"""What ``sssd calibrate`` takes."""

import argparse

from sssd.calibration.search import Goal
from sssd.cli.arguments._shared import add_cfg_options, add_checkpoint_arguments

HELP = 'find the lambda at which the distance has a wanted share of the loss'
DESCRIPTION = (
    'Find, by a binary search over short trainings, the constant lambda at which the distance is a wanted share of the '
    'loss (SSSD, Sec. 3.2), and write a config that trains with it. Call it again to go on where it was interrupted.'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument('config', help='config file with a guided model')
    parser.add_argument('--share', type=float, default=Goal.share, help='wanted share (default: %(default)s)')
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
        help='config to write, its record beside it as FILE.json (default: <work_dir>/<config name>_calibrated.py)',
    )
    parser.add_argument('--work-dir', help='default: work_dir of the config, else ./work_dirs/<config name>')
    add_cfg_options(parser)
    parser.set_defaults(launcher='none', local_rank=0)
    add_checkpoint_arguments(parser)
