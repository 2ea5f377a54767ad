"""The page that ends a training or a study: a convenience, so whatever goes wrong with it is told in one sentence."""

import argparse
import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sssd.cli._report import require_folder
from sssd.cli._subject import check_numbers, with_device
from sssd.errors import UserError
from sssd.report.page import mark_of
from sssd.report.tables import COMPARE, Grid
from sssd.studies.missing import missing_runs
from sssd.studies.present import present
from sssd.studies.runner import StudyRunner

#: Set to 0, no page is written; to ``later``, as a study does for its runs, what `sssd report` needs is kept.
SWITCH = 'SSSD_REPORT'
#: Most validation images that are looked at for it; `sssd report` looks at more.
IMAGES = 50


def wanted() -> bool:
    """Whether a page is wanted here."""
    return os.environ.get(SWITCH, '1') not in ('0', 'later')


def check_page(args: argparse.Namespace) -> None:
    """Refuse, before any image is looked at, what a page cannot be made with.

    Raises:
        UserError: If a number or the device is out of range, or a folder, or a file that is no page of ours, is where
            the page goes.
    """
    if args.images < 0:
        raise UserError(f'--images is {args.images}, but it counts images: 0 looks at none.')
    check_numbers(argparse.Namespace(device=args.device))
    if args.out and Path(args.out).is_dir():
        raise UserError(f'--out: {args.out} is a folder; name the page, as in {Path(args.out) / "report.html"}.')
    if args.out and Path(args.out).is_file() and Path(args.out).stat().st_size and mark_of(args.out) is None:
        raise UserError(f'--out: {args.out} is there and no page of ours: name another file, or move it away.')
    if args.out:
        require_folder(str(Path(args.out).parent))


def keep_base(cfg, config: str) -> None:
    """Keep where a config differs from its base, for the page; one that cannot be told is left out."""
    if os.environ.get(SWITCH) == '0':
        return
    from sssd.report.config_differences import keep_base_differences

    with contextlib.suppress(Exception):  # the training matters more
        keep_base_differences(cfg, config)


def page_of_run(work_dir: str, device: str) -> None:
    """Write the page of a run that has been trained."""
    from sssd.report.run_page import write_report  # matplotlib and mmdet's inference: after the training

    told(lambda: write_report(work_dir, images=IMAGES, device=device), f'sssd report {work_dir}')


def page_of_study(
    runner: StudyRunner,
    tables: Sequence[Grid],
    again: str,
    asked: tuple[Sequence[int] | None, Sequence[str] | None],
    *,
    out: str = 'report.html',
    names: Mapping[str, str] | None = None,
    trouble: str = '',
) -> None:
    """Write the page of a study into its work directory, unless it is there and nothing has changed since.

    Args:
        runner: The study's runner.
        tables: Its tables.
        again: The command that writes it anew.
        asked: The seeds and the runs that were asked for; None for all.
        out: The page's name.
        names: Other names for some runs, which the tables have as well.
        trouble: What is said of runs that failed just now.
    """
    from sssd.report.study_page import Study, is_current, write_study_report

    path, names = runner.work_dir / out, names or {}

    def write() -> str:
        """The page, if it has to be written; what is said of it."""
        study = Study(
            runner.spec.name,
            tables,
            {names.get(run, run): found for run, found in places_of(runner).items()},
            [(names.get(run, run), *rest) for run, *rest in missing_runs(runner, *asked)],
            runner.results.entries(),
            {key: names.get(run, run) for key, run in {**COMPARE, **runner.spec.compare}.items()},
            trouble,
        )
        if is_current(study, path):
            return f'{path} (nothing has changed since it was written)'
        device = with_device(argparse.Namespace(device=None)).device
        return str(write_study_report(study, path, IMAGES, device, runner.reporter.console))

    told(write, again)


def places_of(runner: StudyRunner) -> dict[str, dict[int, Path]]:
    """The work directories of a study's runs that are in its results and still there, by run and seed."""
    places: dict[str, dict[int, Path]] = {name: {} for name in runner.spec.runs}
    for entry in present(runner.spec, runner.results.entries(), runner.slots[0].processes)[0]:
        place = runner.work_dir / f'seed{entry["seed"]}' / entry['run']
        if entry['run'] in places and any(place.glob('*.py')):
            places[entry['run']][entry['seed']] = place
    return {name: seeds for name, seeds in places.items() if seeds}


def told(write: Callable[[], Path | str], again: str) -> None:
    """Write a page and say where it is, or why there is none.

    Args:
        write: What writes it.
        again: The command that writes it anew.
    """
    try:
        print(f'report:     {write()}')
    except Exception as error:  # the training is done, and stays so
        reason = ' '.join(str(error).split()) or type(error).__name__
        print(f'no report was written ({reason[:300]}); what was trained is there; `{again}` tries again')
