"""Command: train a table of ablations of the SED paper, and show it with the published numbers."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sssd.cli._config import CfgOptions
from sssd.cli.study import run_or_stop
from sssd.errors import UserError
from sssd.report.published import published_table, trials_table
from sssd.studies.ablation import Budget, Table, load_table
from sssd.studies.results import ResultsFile
from sssd.studies.runner import StudyRunner
from sssd.studies.watch import Reporter


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments of ``python -m sssd ablate``."""
    parser = argparse.ArgumentParser(
        prog='python -m sssd ablate',
        description='Train the rows of a table of the SED paper at a budget of choice on '
        'a data set of choice, from one supervised start, and show ours beside the published numbers. A second call '
        'goes on; a run that several tables share is trained once.',
    )
    parser.add_argument('table', help='table4, table6, table7, table8, table9 or table10')
    parser.add_argument(
        '--data',
        default='toy',
        help='toy (the embedded data set; default), bccd or coco; or the path of a study with runs named sed and few',
    )
    parser.add_argument(
        '--iters',
        type=int,
        help='iterations of every run, the schedule in proportion, one evaluation '
        'at the end (default: as the configs say)',
    )
    parser.add_argument('--start-iters', type=int, help='iterations of the shared supervised start')
    parser.add_argument('--seeds', type=int, nargs='+', help="only these (default: those of the data set's study)")
    parser.add_argument('--only', nargs='+', metavar='ROW', help='only these rows, by the names of their runs')
    parser.add_argument('--amp', action='store_true', help='mixed precision in bfloat16, on CPUs too')
    parser.add_argument('--quick', action='store_true', help="with the study's quick options: checks that all works")
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=CfgOptions,
        metavar='KEY=VALUE',
        default={},
        help='config options for every run, the start included',
    )
    parser.add_argument('--out', help='results file (default: ablation_TABLE_DATA.json in the work directory)')
    parser.add_argument('--work-dir', help='default: work_dirs/ablations/DATA, shared by the tables')
    parser.add_argument('--table', action='store_true', dest='show', help='only show the results file')
    parser.add_argument('--markdown', action='store_true', help='the same in Markdown')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Train what a table lacks, then show it; returns the exit status."""
    args = parse_args(argv)
    budget = Budget(args.iters, args.start_iters, args.amp, args.quick, args.cfg_options)
    table = load_table(args.table, args.data, budget)
    runs = table.select(args.only)
    work_dir = Path(args.work_dir or f'work_dirs/ablations/{table.shared}')
    results = ResultsFile(args.out or work_dir / f'{table.study.name}.json', table.study.name)
    console = Console()
    if runs and not (args.show or args.markdown):
        runner = StudyRunner(table.study, results, work_dir, trials=table.trials, reporter=Reporter(console))
        check_results(runner)
        try:
            status = run_or_stop(runner, args.seeds, runs)
        finally:
            if results.entries():
                results.describe('table', table.described())
        if status != 0:
            return status
    show(console, table, results, args.markdown, args.seeds or ())
    return 0


def check_results(runner: StudyRunner) -> None:
    """Refuse to mix results of another budget with those to come, or to replace them.

    Raises:
        UserError: Naming the file and the first such run.
    """
    entries = runner.results.entries()
    for seed in sorted({entry['seed'] for entry in entries}):
        jobs = runner.all_jobs([seed], None)
        for job in [*jobs, *[job.start for job in jobs if job.start is not None][:1]]:
            entry = runner.results.find(job.run.name, seed)
            if entry is not None and entry['hash'] != job.hash:
                raise UserError(
                    f'{runner.results.path} holds {job.title}, of another budget or other configs: name '
                    'another file with --out, or take its entry out.'
                )


def show(
    console: Console, table: Table, results: ResultsFile, markdown: bool = False, seeds: Sequence[int] = ()
) -> None:
    """Print the table, rows that were not run included, and what is missing of these seeds."""
    as_table = trials_table if table.trials else published_table
    grid = as_table(table.described()['rows'], results.entries(), f'{table.title} ({table.data})', seeds)
    if markdown:
        print(grid.to_markdown())
    else:
        console.print(grid.to_rich())
