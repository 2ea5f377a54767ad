"""Command: run a study, or print the table of one."""

import argparse
import signal
import threading
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from sssd.cli._config import CfgOptions
from sssd.errors import UserError
from sssd.report.final_tables import TEST, tables_of
from sssd.studies.results import RESULTS, ResultsFile
from sssd.studies.runner import StudyRunner
from sssd.studies.spec import StudySpec, load_spec
from sssd.studies.watch import Reporter

EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a study from its specification."""
    args = parse_args(argv)
    spec = load_spec(args.spec, args.cfg_options, args.quick)
    work_dir = Path(args.work_dir or f'work_dirs/studies/{spec.name}')
    results = ResultsFile(args.results or work_dir / RESULTS, spec.name)
    console = Console()
    if args.table or args.markdown:
        show(console, spec, results, markdown=args.markdown)
        return 0
    runner = StudyRunner(spec, results, work_dir, reporter=Reporter(console))
    return run(runner, args.seeds, args.runs)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m sssd study',
        description='Run every run of a study with every seed. What the '
        'results file holds already is skipped, and what was interrupted '
        'goes on from its last checkpoint.',
    )
    parser.add_argument('spec', help="the study's specification, a config")
    parser.add_argument('--seeds', type=int, nargs='+', help='only these')
    parser.add_argument('--runs', nargs='+', help='only the runs so named')
    parser.add_argument('--results', help='results file (default: results.json in the work directory)')
    parser.add_argument('--work-dir', help='default: work_dirs/studies/<name>')
    parser.add_argument('--table', action='store_true', help='only print the results file')
    parser.add_argument('--markdown', action='store_true', help='the same in Markdown')
    parser.add_argument(
        '--quick', action='store_true', help="with the specification's quick options: checks that all works"
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE', help='config options for every run'
    )
    return parser.parse_args(argv)


def run(
    runner: StudyRunner,
    seeds: Sequence[int] | None = None,
    runs: Sequence[str] | None = None,
    names: Mapping[str, str] | None = None,
) -> int:
    """Run a study and print its tables.

    Args:
        runner: The study's runner.
        seeds: Only these seeds.
        runs: Only the runs of these names.
        names: Other names for some runs in the tables.

    Returns:
        The exit status: 0, or 130 after an interruption.
    """
    status = run_or_stop(runner, seeds, runs)
    if status == 0:
        show(runner.reporter.console, runner.spec, runner.results, names=names)
    return status


def run_or_stop(runner: StudyRunner, seeds: Sequence[int] | None, runs: Sequence[str] | None) -> int:
    """Run what a study lacks; returns 0, or 130 after an interruption."""
    console = runner.reporter.console
    try:
        with _interrupted_by_sigterm():
            jobs = runner.run(seeds, runs)
    except KeyboardInterrupt:
        console.print('Interrupted: call it again to go on from the last checkpoint.')
        return EXIT_INTERRUPTED
    if not jobs:
        console.print(f'Nothing to run: {runner.results.path} holds it all.', soft_wrap=True, highlight=False)
    return 0


@contextmanager
def _interrupted_by_sigterm():
    """Have SIGTERM end the study as Ctrl-C does; its handler is then as before, or forked workers inherit ours."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(*_) -> None:
    raise KeyboardInterrupt


def show(
    console: Console,
    spec: StudySpec,
    results: ResultsFile,
    markdown: bool = False,
    names: Mapping[str, str] | None = None,
) -> None:
    """Print the tables of a results file.

    Raises:
        UserError: If it holds no results yet.
    """
    entries = results.entries()
    if not entries:
        raise UserError(
            f'{results.path} holds no results yet: run the study first, or name another file with --results '
            '(those of this repository are in benchmarks/results/)'
        )
    for table in tables_of(entries, spec.name, spec.compare, names, results.described(TEST)):
        if markdown:
            print(table.to_markdown())
        else:
            console.print(table.to_rich())
