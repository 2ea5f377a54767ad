"""Command: draw the training curves of some runs."""

from collections.abc import Sequence
from pathlib import Path

from sssd.cli._parser import parse
from sssd.cli._report import check_picture
from sssd.errors import UserError
from sssd.report.curves import plot_curves
from sssd.report.scalars import read_curves


def main(argv: Sequence[str] | None = None) -> None:
    """Draw the curves of the runs in some work directories."""
    args = parse('curves', argv)
    check_picture(Path(args.out))
    named = split_names(args.runs)
    runs = {name: [read_curves(path) for path in paths.split(',')] for name, paths in named.items()}
    print(plot_curves(runs, args.out, args.title))


def split_names(words: Sequence[str]) -> dict[str, str]:
    """Split words ``NAME=VALUE``.

    Raises:
        UserError: If one is not of that form, or a name is there twice.
    """
    named = [split_name(word) for word in words]
    twice = next((name for name, _ in named if [other for other, _ in named].count(name) > 1), None)
    if twice is not None:
        raise UserError(
            f'two runs are called {twice!r}: give each a name of its own, as in A=work_dirs/a B=work_dirs/b'
        )
    return dict(named)


def split_name(word: str) -> tuple[str, str]:
    """Split ``NAME=VALUE``.

    Raises:
        UserError: If it is not of that form.
    """
    name, equals, value = word.partition('=')
    if not (name and equals and value):
        raise UserError(f'{word!r} is not of the form NAME=WORK_DIR: write for instance SED=work_dirs/retinanet_sed')
    return name, value
