"""What ``sssd views`` takes."""

import argparse

from sssd.cli.arguments._shared import add_cfg_options, add_checkpoint_arguments, add_device

HELP = "draw what training sees of unlabelled images: views, teacher's scores, paired cells"
DESCRIPTION = (
    "Draw weak, strong and scaled view of unlabelled images, the teacher's scores, the cells that are paired over "
    'scales and what their rows weigh in the loss.'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.set_defaults(work_dir=None, launcher='none', local_rank=0)
    parser.add_argument('config', help='config of an SED')
    parser.add_argument('checkpoint', nargs='?', help='a checkpoint of it (default: random weights)')
    parser.add_argument('--out', default='views.png', metavar='FILE.png', help='default: %(default)s')
    parser.add_argument('--images', type=int, default=3, metavar='N', help='default: %(default)s')
    parser.add_argument('--seed', type=int, default=0, help='of the images and their views (default: %(default)s)')
    parser.add_argument('--shift', type=int, default=1, help='s: X^ is 1/2**s of X (default: %(default)s)')
    add_device(parser)
    add_cfg_options(parser)
    add_checkpoint_arguments(parser)
