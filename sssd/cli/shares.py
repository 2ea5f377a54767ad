"""Command: table the share of the distance over the phases of a run (SSSD, Table 3)."""

from collections.abc import Sequence

from rich.console import Console

from sssd.cli._parser import parse
from sssd.errors import UserError
from sssd.report.phases import phase_table, phases
from sssd.report.scalars import read_curves


def main(argv: Sequence[str] | None = None) -> int:
    """Print one table for each run; returns the exit status."""
    args = parse('shares', argv)
    for work_dir in args.work_dirs:
        found = phases(read_curves(work_dir))
        if not found:
            raise UserError(
                f'{work_dir} has no distill_share in its logs: name the work directory of a run with a '
                'guided model that has logged at least once.'
            )
        table = phase_table(found, str(work_dir))
        if args.markdown:
            print(table.to_markdown())
        else:
            Console().print(table.to_rich())
    return 0
