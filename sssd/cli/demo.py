"""Command: the supervised baseline and SED side by side, on a CPU."""

import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sssd.cli._parser import parse
from sssd.cli.study import run
from sssd.errors import UserError
from sssd.locks import training_in
from sssd.progress import say
from sssd.report.scalars import read_curves
from sssd.report.tables import shares
from sssd.studies.results import RESULTS, ResultsFile
from sssd.studies.runner import StudyRunner
from sssd.studies.spec import load_spec
from sssd.studies.watch import Reporter

SPEC = 'configs/sizes/toy_study.py'
#: The study's runs that the demo shows, and how.
SHOWN = {'few': 'supervised', 'sed': 'SED'}
NAMES = {'start': 'shared start', **SHOWN}
CURVES, SHEET = 'curves.png', 'contact_sheet.png'
#: Where a checkout keeps the whole study: the run with all labels, for which the demo has no time.
KEPT = Path('benchmarks/results/sizes_toy.json')


def main(argv: Sequence[str] | None = None) -> int:
    """Train both, then show a table, the curves and some detections."""
    args = parse('demo', argv)
    spec = load_spec(SPEC, quick=args.quick)
    work_dir = Path(args.work_dir or f'work_dirs/demo{"_quick" * args.quick}')
    if args.fresh:
        remove_runs(work_dir)
    console = Console()
    runner = StudyRunner(spec, ResultsFile(work_dir / RESULTS, spec.name), work_dir, reporter=Reporter(console))
    before = runner.results.entries()
    status = run(runner, spec.seeds[:1], list(SHOWN), NAMES)
    if status != 0:
        return status
    changed = runner.results.entries() != before
    for path in draw(runner, redraw=changed):
        say(console, str(path))
    line = headroom_line(runner, spec.seeds[0], KEPT)
    if line:
        say(console, line)
    return 0


def headroom_line(runner: StudyRunner, seed: int, kept: Path) -> str | None:
    """What SED's gain is of the headroom, where a results file holds the run with all labels.

    Args:
        runner: The demo's study, run.
        seed: The demo's seed.
        kept: A results file of the whole study; it need not exist.

    Returns:
        A sentence, or None if the file lacks the run with all labels that goes with the demo's, or the demo has one.
    """
    if not kept.is_file() or runner.results.find('all', seed):
        return None
    whole = ResultsFile(kept).find('all', seed)
    if whole is None or whole['hash'] != runner.all_jobs([seed], ['all'])[-1].hash:
        return None
    share = shares([*runner.results.entries(), whole], 'sed').get(seed)
    if share is None or share.share is None:
        return None
    return (
        f'All labels give {share.all:.1f} AP (not trained here; {kept}, seed {seed}), {share.headroom:.1f} more '
        f'than the supervised run; SED recovers {share.share:.0%} of that ({share.gain:+.1f} AP).'
    )


def remove_runs(work_dir: Path) -> None:
    """Remove what the demo made in its work directory, and nothing else.

    Raises:
        UserError: If something trains there.
    """
    for place in work_dir.glob('seed*/*'):
        holder = training_in(place) if place.is_dir() else None
        if holder is not None:
            raise UserError(
                f'{holder} uses {place}, so it is not removed: wait until it has ended, {holder.remedy}, or give '
                'another folder with --work-dir.'
            )
    for path in work_dir.glob('seed*'):
        shutil.rmtree(path)
    for name in (RESULTS, CURVES, SHEET):
        (work_dir / name).unlink(missing_ok=True)


def draw(runner: StudyRunner, redraw: bool) -> list[Path]:
    """Draw what is missing, or older than the results.

    Args:
        runner: The demo's study, run.
        redraw: Draw the figures although they are there.

    Returns:
        The paths of both figures.
    """
    curves, sheet = runner.work_dir / CURVES, runner.work_dir / SHEET
    made = runner.results.path.stat().st_mtime if runner.results.path.is_file() else 0
    if redraw or any(not path.is_file() or path.stat().st_mtime < made for path in (curves, sheet)):
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of what mmdet would like to have
            from sssd.report.contact_sheet import contact_sheet
            from sssd.report.curves import plot_curves
        jobs = {SHOWN[job.run.name]: job for job in runner.all_jobs(runner.spec.seeds[:1], list(SHOWN))}
        plot_curves(
            {title: [read_curves(job.work_dir)] for title, job in jobs.items()}, curves, 'Labels of small objects alone'
        )
        contact_sheet({title: (job.run.config, job.last_checkpoint()) for title, job in jobs.items()}, sheet)
    return [curves, sheet]
