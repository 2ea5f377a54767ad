"""Command: run a study, or print the table of one."""

import errno
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from sssd.checks.data import check_data
from sssd.checks.weights import require_weights
from sssd.cli import _page
from sssd.cli._parser import parse
from sssd.cli._runner import NOT_WRITTEN
from sssd.cli._slots import flags_of, slots_of, tell
from sssd.datasets.json_io import writing
from sssd.errors import EXIT_INTERRUPTED, EXIT_USER_ERROR, UserError
from sssd.progress import say
from sssd.report.final_tables import TEST, tables_of
from sssd.report.tables import Grid
from sssd.studies.present import present, told_old
from sssd.studies.results import RESULTS, ResultsFile
from sssd.studies.runner import RunsFailed, StudyRunner
from sssd.studies.spec import StudySpec, load_config, load_spec
from sssd.studies.sweep import expanded
from sssd.studies.watch import Reporter

#: Seeds and runs that are asked for; None for all.
Asked = tuple[Sequence[int] | None, Sequence[str] | None]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a study from its specification."""
    args = parse('study', argv)
    spec = load_spec(args.spec, args.cfg_options, args.quick, args.sweep)
    work_dir = Path(args.work_dir or f'work_dirs/studies/{spec.name}')
    results = ResultsFile(args.results or work_dir / RESULTS, spec.name)
    console = Console()
    if args.table or args.markdown:
        show(console, final_tables(spec, results, only=(args.seeds, args.runs)), markdown=args.markdown)
        return 0
    runner = StudyRunner(
        spec, results, work_dir, reporter=Reporter(console), slots=slots_of(args), flags=flags_of(args)
    )
    if tell(runner, args, args.seeds, args.runs):
        return 0
    return run(runner, args.seeds, args.runs)


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

    def tables() -> list[Grid]:
        """Those of the results as they are then."""
        return final_tables(runner.spec, runner.results, names, processes=runner.slots[0].processes)

    return run_and_tell(runner, (seeds, runs), tables, 'the same `sssd study`', names=names)


def run_and_tell(
    runner: StudyRunner, asked: Asked, tables: Callable[[], Sequence[Grid]], again: str, **page: object
) -> int:
    """Run what a study lacks, then print its tables and write its page, where runs have failed, too.

    Args:
        runner: The study's runner.
        asked: The seeds and runs that are asked for.
        tables: Makes the tables of what is there.
        again: The command that writes the page anew.
        page: More of :func:`sssd.cli._page.page_of_study`.

    Returns:
        The exit status: 0, or 130 after an interruption.

    Raises:
        RunsFailed: If runs failed, once all else is told.
    """
    trouble = None
    try:
        status = run_or_stop(runner, *asked)
    except RunsFailed as error:
        trouble, status = error, EXIT_USER_ERROR
    if status != EXIT_INTERRUPTED and (trouble is None or runner.results.entries()):
        found = tables()
        show(runner.reporter.console, found)
        if _page.wanted():
            _page.page_of_study(runner, found, again, asked, trouble=str(trouble or ''), **page)
    if trouble is not None:
        raise trouble
    return status


def run_or_stop(runner: StudyRunner, seeds: Sequence[int] | None, runs: Sequence[str] | None) -> int:
    """Run what a study lacks; returns 0, or 130 after an interruption."""
    console = runner.reporter.console
    require_all_weights(runner, seeds, runs)
    require_all_data(runner, seeds, runs)
    require_folders(runner)
    try:
        with _interrupted_by_sigterm(), unwritable_explained():
            jobs = runner.run(seeds, runs)
    except KeyboardInterrupt:
        say(console, 'Interrupted: call it again to go on from the last checkpoint.')
        return EXIT_INTERRUPTED
    if not jobs:
        say(console, f'Nothing to run: {runner.results.path} holds it all.')
    return 0


def require_all_weights(runner: StudyRunner, seeds: Sequence[int] | None, runs: Sequence[str] | None) -> None:
    """Have the pretrained weights with an address that the runs to do begin with, before the first of them is.

    Files without one may be what another run of the study leaves.

    Raises:
        UserError: For the first that cannot be had.
    """
    for run, seed in {job.run.name: (job.run, job.seed) for job in runner.jobs(seeds, runs)}.values():
        require_weights(load_config(run, seed), run.config, local=False)


def require_all_data(runner: StudyRunner, seeds: Sequence[int] | None, runs: Sequence[str] | None) -> None:
    """Check the data of all runs to do before the first of them begins, unless the study makes them itself.

    Raises:
        UserError: For all mistakes in the data of the first run that has any.
    """
    checked = []
    for job in [] if runner.spec.data else runner.jobs(seeds, runs):
        cfg = load_config(job.run, job.seed)
        data = {key: cfg.get(key) for part in ('train', 'val') for key in (f'{part}_dataloader', f'{part}_evaluator')}
        if data not in checked:
            checked.append(data)
            try:
                check_data(cfg)
            except UserError as error:
                raise UserError(f'the run {job.run.name!r}, {job.run.config}: {error}') from error


def require_folders(runner: StudyRunner) -> None:
    """Make the folders of the runs and of the results file, before the first run is trained.

    Raises:
        UserError: Naming the one that cannot be made.
    """
    for folder in (runner.work_dir, runner.results.path.parent):
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def unwritable_explained():
    """Turn a disk that is full, or not to be written on, into a sentence, where a study notes what its runs do.

    Raises:
        UserError: Naming the file, where the system does.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (*NOT_WRITTEN, errno.EACCES, errno.EPERM, errno.ENOTDIR):
            raise
        raise UserError(
            f'{error.filename or "a file of the study"} cannot be written ({error.strerror}): make room or permit it, '
            'or give another folder with --work-dir, and call the study again; what is done is kept.'
        ) from error


@contextmanager
def _interrupted_by_sigterm():
    """Have SIGTERM end the study as Ctrl-C does; its handler is then as before, or forked workers inherit ours."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # A terminal that closes sends SIGHUP, unless nohup has it ignored; the trainings have sessions of their own.
    kinds = [kind for kind in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(kind) is not signal.SIG_IGN]
    before = {kind: signal.signal(kind, _interrupt) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _interrupt(*_) -> None:
    raise KeyboardInterrupt


def show(console: Console, tables: Sequence[Grid], markdown: bool = False) -> None:
    """Print tables."""
    for table in tables:
        if markdown:
            print(table.to_markdown())
        else:
            console.print(table.to_rich())


def final_tables(
    spec: StudySpec,
    results: ResultsFile,
    names: Mapping[str, str] | None = None,
    only: Asked = (None, None),
    processes: int | None = None,
) -> list[Grid]:
    """The tables of a results file, or of the seeds and runs of it that are asked for.

    What is of another specification than the present one is left out, and named below the first table.

    Args:
        spec: The specification.
        results: The results file.
        names: Other names for some runs.
        only: The seeds and runs.
        processes: Processes of a run as it would be trained now; default: as it was.

    Raises:
        UserError: If it holds no results of them yet, or none of the present specification.
    """
    if not results.entries():
        raise UserError(
            f'{results.path} holds no results yet: run the study first, or name another file with --results '
            '(those of this repository are in benchmarks/results/)'
        )
    whole, old = present(spec, results.entries(), processes)
    asked = entries_of(spec, results, *only)
    entries, old = [entry for entry in asked if entry in whole], [entry for entry in old if entry in asked]
    if not entries:
        raise UserError(f'{results.path}: {told_old(old)}; call the study, which trains them anew')
    summary = summary_of(results.described(TEST), entries, whole)
    tables = tables_of(entries, spec.name, spec.compare, names, summary)
    tables[0].note = '; '.join(filter(None, (tables[0].note, told_old(old))))
    return tables


def entries_of(
    spec: StudySpec, results: ResultsFile, seeds: Sequence[int] | None = None, runs: Sequence[str] | None = None
) -> list[dict]:
    """The entries of these seeds and runs, None for all; a swept run's name stands for all its values.

    Raises:
        UserError: If there is no such run, or there are no results of them yet.
    """
    entries = results.entries()
    known = list(dict.fromkeys([*spec.runs, *(entry['run'] for entry in entries)]))
    names = known if runs is None else expanded(runs, known)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(f'--runs names {unknown[0]!r}, but the study {spec.name} has {", ".join(known)}: name these')
    found = [entry for entry in entries if entry['run'] in names and (seeds is None or entry['seed'] in seeds)]
    if entries and not found:
        raise UserError(
            f'{results.path} holds no results yet of the runs and seeds that are asked for: leave --runs and --seeds '
            'out to see all that it holds'
        )
    return found


def summary_of(summary: Mapping | None, entries: Sequence[dict], whole: Sequence[dict]) -> dict | None:
    """What a results file says of its test part, for the runs of some entries; None if that is of more seeds.

    Nor is it told of entries that have been trained anew since it was computed.

    Args:
        summary: What it says of all.
        entries: Some of its entries.
        whole: All of them that count.
    """
    runs = {entry['run'] for entry in entries}
    if summary is None or len(entries) < sum(entry['run'] in runs for entry in whole):
        return None
    hashes = {f'{entry["run"]}, seed {entry["seed"]}': entry['hash'] for entry in whole}
    if any(hashes.get(title) != known for title, known in summary.get('of', {}).items()):
        return None
    gains = {run: found for run, found in summary['gains'].items() if run in runs}
    return dict(summary, gains=gains) if gains else None
