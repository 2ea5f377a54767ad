"""What ``sssd toy`` takes."""

import argparse

from sssd.cli.arguments._shared import add_camera
from sssd.places import TOY_ROOT

HELP = 'draw the toy data set; nothing is downloaded'
DESCRIPTION = 'Make the toy data set (drawn here, nothing is downloaded).'
NEEDS_STACK = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument('root', nargs='?', default=TOY_ROOT, help='folder (default: %(default)s)')
    parser.add_argument('--num-train', type=int, default=1000, help='default: %(default)s')
    parser.add_argument('--num-val', type=int, default=200, help='default: %(default)s')
    parser.add_argument('--num-labeled', type=int, default=100, help='default: %(default)s')
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    add_camera(parser, 'plain', 'plain: one good camera; varied: another poor one for every image')
    parser.add_argument(
        '--labeled-below',
        type=float,
        default=1.0,
        metavar='SHARE',
        help='label only images with objects, all of them smaller than this share of the image, '
        'the square root of box area over image area (default: any image)',
    )
