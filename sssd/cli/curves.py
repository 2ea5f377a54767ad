"""Command: draw the training curves of some runs."""

from collections.abc import Sequence

from sssd.cli._parser import parse
from sssd.errors import UserError
from sssd.report.curves import plot_curves
from sssd.report.scalars import read_curves


def main(argv: Sequence[str] | None = None) -> None:
    """Draw the curves of the runs in some work directories."""
    args = parse('curves', argv)
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
