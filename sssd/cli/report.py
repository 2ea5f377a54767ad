"""Command: the page of a run."""

from collections.abc import Sequence

from sssd.cli._parser import parse
from sssd.report.run_page import write_report


def main(argv: Sequence[str] | None = None) -> None:
    """Write it and say where it is."""
    args = parse('report', argv)
    print(write_report(args.work_dir, args.out, args.images, args.device))
