"""What ``sssd curves`` takes."""

import argparse

HELP = 'draw AP and loss terms of some runs over the iterations'
DESCRIPTION = 'Draw AP and loss terms over the iterations.'
NEEDS_STACK = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument(
        'runs',
        nargs='+',
        metavar='NAME=WORK_DIR[,WORK_DIR...]',
        help='a name for the legend and a work directory, one per seed',
    )
    parser.add_argument('--out', default='curves.png', help='the PNG to write')
    parser.add_argument('--title', default='', help="the figure's title")
