"""Command: the supervised baseline and SED side by side, on a CPU."""
import argparse
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sssd.analysis.scalars import read_curves
from sssd.analysis.tables import best_ap, shares
from sssd.cli.study import run
from sssd.studies.results import ResultsFile
from sssd.studies.runner import StudyRunner
from sssd.studies.spec import load_spec
from sssd.studies.watch import Reporter

SPEC = 'configs/sizes/toy_study.py'
#: The study's runs that the demo shows, and how.
SHOWN = {'few': 'supervised', 'sed': 'SED'}
NAMES = {'start': 'shared start', **SHOWN}
CURVES, SHEET, RESULTS = 'curves.png', 'contact_sheet.png', 'results.json'
#: Where a checkout keeps the whole study: the run with all labels, for which the demo has no time.
KEPT = Path('benchmarks/results/sizes_toy.json')


def main(argv: Sequence[str] | None = None) -> int:
    """Train both, then show a table, the curves and some detections."""
    args = parse_args(argv)
    spec = load_spec(SPEC, quick=args.quick)
    work_dir = Path(args.work_dir or f'work_dirs/demo{"_quick" * args.quick}')
    if args.fresh:
        remove_runs(work_dir)
    console = Console()
    runner = StudyRunner(spec, ResultsFile(work_dir / RESULTS, spec.name),
                         work_dir, reporter=Reporter(console))
    before = runner.results.entries()
    status = run(runner, spec.seeds[:1], list(SHOWN), NAMES)
    if status != 0:
        return status
    entries = runner.results.entries()
    changed = entries != before
    line = headroom_line(entries, spec.seeds[0], KEPT)
    if line:
        console.print(line, highlight=False)
    for path in draw(runner, redraw=changed):
        console.print(str(path), highlight=False, soft_wrap=True)
    return 0


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m sssd demo',
        description='Train a supervised baseline and SED from the same start, '
        'on the same labelled images of a toy data set and for the same '
        'number of iterations; no label shows a large object. A second call '
        'shows what the first one made.')
    parser.add_argument(
        '--quick', action='store_true',
        help='a few iterations only: checks that all works')
    parser.add_argument(
        '--work-dir', help='default: work_dirs/demo, or work_dirs/demo_quick')
    parser.add_argument(
        '--fresh', action='store_true', help='remove what is there and train')
    return parser.parse_args(argv)


def headroom_line(entries: Sequence[dict], seed: int, kept: Path) -> str | None:
    """What SED's gain is of the headroom, where a results file holds the run with all labels.

    Args:
        entries: Entries of the demo's results.
        seed: The demo's seed.
        kept: A results file of the same study; it need not exist.

    Returns:
        A sentence, or None if no run with all labels and as many iterations is known.
    """
    if not kept.is_file():
        return None
    few = next(entry for entry in entries if entry['run'] == 'few')
    whole = ResultsFile(kept).find('all', seed)
    if whole is None or last_iteration(whole) != last_iteration(few):
        return None
    share = shares([*entries, whole], 'sed').get(seed)
    if share is None or share.share is None:
        return None
    return (f'All labels give {best_ap(whole):.1f} AP (not trained here; {kept}, seed {seed}), {share.headroom:.1f} '
            f'more than the supervised run; SED wins {share.gain:.1f} of them, {share.share:.0%}.')


def last_iteration(entry: dict) -> int:
    """The iteration of a run's last evaluation."""
    return max(metrics['iter'] for metrics in entry['metrics'].values())


def remove_runs(work_dir: Path) -> None:
    """Remove what the demo made in its work directory, and nothing else."""
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
            from sssd.analysis.contact_sheet import contact_sheet
            from sssd.analysis.curves import plot_curves
        jobs = {SHOWN[job.run.name]: job
                for job in runner.all_jobs(runner.spec.seeds[:1], list(SHOWN))}
        plot_curves({title: [read_curves(job.work_dir)]
                     for title, job in jobs.items()}, curves, 'Labels of small objects alone')
        contact_sheet({title: (job.run.config, job.last_checkpoint())
                       for title, job in jobs.items()}, sheet)
    return [curves, sheet]
