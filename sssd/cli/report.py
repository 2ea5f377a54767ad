"""Command: the page of a run."""

from collections.abc import Sequence

from sssd.cli._page import check_page
from sssd.cli._parser import parse
from sssd.cli._subject import with_device
from sssd.report.run_page import write_report


def main(argv: Sequence[str] | None = None) -> None:
    """Write it and say where it is."""
    args = with_device(parse('report', argv))
    check_page(args)
    print(write_report(args.work_dir, args.out, args.images, args.device))
