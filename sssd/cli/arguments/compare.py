"""What ``sssd compare`` takes."""

import argparse

from sssd.cli.arguments._shared import add_device

HELP = 'write a page of several runs side by side, with intervals of their differences'
DESCRIPTION = """\
Write one HTML page of several runs: AP, the difference of every two with its interval (a paired bootstrap over
validation images), the images on which they differ most, curves, and where their configs differ."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument(
        'runs', nargs='+', metavar='[NAME=]WORK_DIR', help='work directories, with a name if the last folder is none'
    )
    parser.add_argument('--out', default='compare.html', help='default: compare.html')
    parser.add_argument(
        '--images',
        type=int,
        default=100,
        help='most validation images to look at; 0 for none (default: 100, or 500 if what was found on them was kept)',
    )
    add_device(parser)
