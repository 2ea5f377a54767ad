"""Command: train a table of ablations of the SED paper, and show it with the published numbers."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sssd.cli._parser import parse
from sssd.cli._slots import flags_of, slots_of, tell
from sssd.cli.study import run_and_tell, show
from sssd.errors import UserError
from sssd.report.published import published_table, trials_table
from sssd.report.tables import Grid
from sssd.studies.ablation import Budget, Table, load_table
from sssd.studies.results import ResultsFile
from sssd.studies.runner import StudyRunner
from sssd.studies.watch import Reporter


def main(argv: Sequence[str] | None = None) -> int:
    """Train what a table lacks, then show it; returns the exit status."""
    args = parse('ablate', argv)
    budget = Budget(args.iters, args.start_iters, args.amp, args.quick, args.cfg_options or {})
    table = load_table(args.table, args.data, budget)
    runs = table.select(args.only)
    work_dir = Path(args.work_dir or f'work_dirs/ablations/{table.shared}')
    results = ResultsFile(args.out or work_dir / f'{table.study.name}.json', table.study.name)
    console = Console()
    if runs and not (args.show or args.markdown):
        runner = StudyRunner(
            table.study,
            results,
            work_dir,
            trials=table.trials,
            reporter=Reporter(console),
            slots=slots_of(args),
            flags=flags_of(args),
        )
        check_results(runner)
        if tell(runner, args, args.seeds, runs):
            return 0
        return run(runner, table, args.seeds, runs)
    show(console, [grid_of(table, results, args.seeds or ())], args.markdown)
    return 0


def run(runner: StudyRunner, table: Table, seeds: Sequence[int] | None, runs: Sequence[str]) -> int:
    """Train what is missing, then show the table and write its page; returns 0, or 130 after an interruption."""
    try:
        return run_and_tell(
            runner,
            (seeds, runs),
            lambda: [grid_of(table, runner.results, seeds or ())],
            'the same `sssd ablate`',
            out=f'{table.study.name}.html',
        )
    finally:
        if runner.results.entries():
            runner.results.describe('table', table.described())


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


def grid_of(table: Table, results: ResultsFile, seeds: Sequence[int]) -> Grid:
    """The paper's table with ours beside it, rows that were not run included, and what is missing of these seeds."""
    as_table = trials_table if table.trials else published_table
    return as_table(table.described()['rows'], results.entries(), f'{table.title} ({table.data})', seeds)
