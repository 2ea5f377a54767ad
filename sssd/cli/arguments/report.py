"""What ``sssd report`` takes."""

import argparse

from sssd.cli.arguments._shared import add_device

HELP = 'write the page of a run: curves, AP by class, best and worst images'
DESCRIPTION = """\
Write one HTML page of a run, trained, stopped or in progress: curves, AP by class and size with intervals, the best
and the worst validation images, gradient ratios, what the teacher says, config and environment. `sssd train` writes it
at its end."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument('work_dir', help='work directory of the run')
    parser.add_argument('--out', help='the page (default: report.html in the work directory)')
    parser.add_argument(
        '--images',
        type=int,
        default=100,
        help='most validation images to look at; 0 for none (default: 100, or 500 if what was found on them was kept)',
    )
    add_device(parser)
