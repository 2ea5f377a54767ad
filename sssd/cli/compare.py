"""Command: several runs side by side."""

from collections.abc import Sequence
from pathlib import Path

from sssd.cli._page import check_page
from sssd.cli._parser import parse
from sssd.cli._subject import with_device
from sssd.errors import UserError
from sssd.report.compare_page import write_comparison


def main(argv: Sequence[str] | None = None) -> None:
    """Write the page and say where it is.

    Raises:
        UserError: If there are not two runs, or two of one name.
    """
    args = with_device(parse('compare', argv))
    check_page(args)
    named = [
        (Path(word).name, word) if '=' not in word or Path(word).is_dir() else word.partition('=')[::2]
        for word in args.runs
    ]
    if len(named) < 2 or len(dict(named)) < len(named):
        raise UserError(
            f'compare got {", ".join(args.runs)}: name two runs or more, and write NAME=WORK_DIR where their folders '
            'are called the same.'
        )
    print(write_comparison(dict(named), args.out, args.images, args.device))
