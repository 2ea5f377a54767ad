"""Command: draw the training curves of some runs."""

import argparse
from collections.abc import Sequence

from sssd.errors import UserError
from sssd.report.curves import plot_curves
from sssd.report.scalars import read_curves


def main(argv: Sequence[str] | None = None) -> None:
    """Draw the curves of the runs in some work directories."""
    parser = argparse.ArgumentParser(prog='plot_curves', description='Draw AP and loss terms over the iterations.')
    parser.add_argument(
        'runs',
        nargs='+',
        metavar='NAME=WORK_DIR[,WORK_DIR...]',
        help='a name for the legend and a work directory, one per seed',
    )
    parser.add_argument('--out', default='curves.png', help='the PNG to write')
    parser.add_argument('--title', default='', help="the figure's title")
    args = parser.parse_args(argv)
    runs = {name: [read_curves(path) for path in paths.split(',')] for name, paths in map(split_name, args.runs)}
    print(plot_curves(runs, args.out, args.title))


def split_name(word: str) -> tuple[str, str]:
    """Split ``NAME=VALUE``.

    Raises:
        UserError: If it is not of that form.
    """
    name, equals, value = word.partition('=')
    if not (name and equals and value):
        raise UserError(f'{word!r} is not of the form NAME=WORK_DIR: write for instance SED=work_dirs/retinanet_sed')
    return name, value
