"""The page of a study: its tables, then what the page of a run has, the runs side by side and their seeds together."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mmengine.config import Config
from rich.console import Console

from sssd import provenance
from sssd.errors import UserError, first_line
from sssd.progress import tracked
from sssd.report.compare_page import CHANCE, apart_of, everyone, found_by, most_different, teachers
from sssd.report.config_differences import config_differences
from sssd.report.detected import Found, Images, OverSeeds, images_and_kept
from sssd.report.page import Page, mark_of
from sssd.report.scalars import read_curves
from sssd.report.sections import (
    BRACKET,
    best_and_worst,
    by_class_and_size,
    config_of,
    data,
    differences_to_base,
    drawn_curves,
    evaluations,
    fitted,
    here,
    ratios,
    surroundings,
    teacher,
)
from sssd.report.tables import COMPARE, Grid

#: Most runs of which a contact sheet has a column each.
COLUMNS = 4


@dataclass(frozen=True)
class Study:
    """What the page of a study is made of.

    Attributes:
        name: Its name.
        tables: What `sssd study --table` prints.
        runs: For each run its work directories by seed, of those that are done.
        missing: Run, seed and reason of those that are not.
        entries: Those of its results file.
        compare: The names of the runs ``few`` and ``all``.
        trouble: What is said of the runs that failed just now.
    """

    name: str
    tables: Sequence[Grid]
    runs: Mapping[str, Mapping[int, Path]]
    missing: Sequence[tuple[str, int, str]] = ()
    entries: Sequence[Mapping] = ()
    compare: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ''

    @cached_property
    def first(self) -> str | None:
        """The run that the others are compared with: the labels alone, else the first."""
        few = {**COMPARE, **self.compare}['few']
        return few if few in self.runs else next(iter(self.runs), None)

    @cached_property
    def main(self) -> str | None:
        """The run whose best and worst images are shown: the first that is neither labels alone nor all labels."""
        references = {**COMPARE, **self.compare}.values()
        return next((run for run in self.runs if run not in references), self.first)

    def mark(self) -> str:
        """What all of it is known by: the tables, what is missing, and names, sizes and times of the runs' files."""
        files = [
            (str(path.relative_to(place)), path.stat().st_size, path.stat().st_mtime_ns)
            for seeds in self.runs.values()
            for place in seeds.values()
            for path in sorted(place.rglob('*'))
            if path.is_file() and path.suffix != '.html'
        ]
        tables = [vars(table) for table in self.tables]
        places = {run: {seed: str(place) for seed, place in seeds.items()} for run, seeds in self.runs.items()}
        content = [self.name, tables, places, self.missing, self.trouble, files, here()]
        return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()


def is_current(study: Study, out: str | Path) -> bool:
    """Whether the page at ``out`` was made of the very same."""
    return mark_of(out) == study.mark()


def write_study_report(
    study: Study, out: str | Path, images: int, device: str = 'cpu', console: Console | None = None
) -> Path:
    """Write the page of a study. A part that cannot be made is told in its place; the others are there.

    Args:
        study: The study.
        out: The page.
        images: Most validation images that models are run on where the detections of a last validation were not kept; 0
            leaves out what is made of detections.
        device: Where they are run.
        console: Where progress is shown.

    Returns:
        The page.
    """
    page = Page(f'Study {study.name}', about(study), study.mark())
    for table in study.tables:
        page.section(table.title or study.name, table.note)
        page.table(table.columns, table.rows)
    missing(page, study)
    if study.runs:
        with tempfile.TemporaryDirectory() as folder:
            steps = list(Sections(study, page, images, device, Path(folder)).steps())
            for what, make in tracked(steps, f'writing {Path(out).name}', len(steps), console):
                try:
                    make()
                except Exception as error:  # the other parts are worth having
                    page.text(f'{what} cannot be shown: {first_line(error)}.')
    return page.write(out)


def about(study: Study) -> str:
    """The line below the title."""
    seeds = sorted({seed for places in study.runs.values() for seed in places})
    told = f'seed{"s" * (len(seeds) > 1)} {", ".join(map(str, seeds))}; ' if seeds else ''
    lacking = f'{len(study.missing)} missing, see below; ' if study.missing else ''
    return f'{len(study.runs)} runs; {told}{lacking}written {provenance.now()}.'


def missing(page: Page, study: Study) -> None:
    """The runs that are not there, and why."""
    if study.missing:
        page.section('Runs that are not there', study.trouble)
        page.table(['run', 'seed', 'why'], study.missing)


class Sections:
    """The sections below the tables.

    Args:
        study: The study.
        page: They go there.
        images: As for :func:`write_study_report`.
        device: Likewise.
        folder: For pictures meanwhile.
    """

    def __init__(self, study: Study, page: Page, images: int, device: str, folder: Path) -> None:
        self.study, self.page, self.images, self.device, self.folder = study, page, images, device, folder
        self.found: dict[str, dict[int, dict[str, Found]]] = {}
        self.seen: Images | None = None
        self.kept: Mapping = {}
        self.left_out: list[str] = []

    def steps(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """What is to be done, in order: what it is and what does it."""
        for section, what in (
            (evaluations, 'The evaluations'),
            (drawn_curves, 'The curves'),
            (ratios, 'The gradient ratios'),
            (teacher, 'What the teacher says'),
        ):
            yield what, lambda section=section: self.logged(section)
        if self.images:
            yield 'What was found on the validation images', self.choose_images
            for run, seeds in self.study.runs.items():
                for seed, place in seeds.items():
                    what = f'What {run}, seed {seed}, found'
                    yield what, lambda run=run, seed=seed, place=place: self.look(run, seed, place)
            yield 'AP by class and by size', self.detections
            yield 'The differences', self.differences
            yield 'The images', self.pictures
        yield 'The data', lambda: data(self.page, self.configs())
        yield 'Where the configs differ', self.config_differences
        yield 'What the configs change', lambda: differences_to_base(self.page, self.last())
        yield 'What it was made with', self.made_with

    def last(self) -> dict[str, Path]:
        """The work directory of each run's last seed."""
        return {run: places[max(places)] for run, places in self.study.runs.items()}

    def configs(self) -> dict[str, Config]:
        """The configs of the runs, with their last seeds."""
        return {run: config_of(place) for run, place in self.last().items()}

    @cached_property
    def curves(self) -> dict[str, list]:
        """What each run logged, seed by seed."""
        return {run: [read_curves(place) for place in seeds.values()] for run, seeds in self.study.runs.items()}

    def logged(self, section: Callable) -> None:
        """A section of what was logged."""
        section(self.page, self.curves, *([] if section is evaluations else [self.folder]))

    def choose_images(self) -> None:
        """Choose validation images of the first run, for all of them."""
        places = {(run, seed): place for run, seeds in self.study.runs.items() for seed, place in seeds.items()}
        config = config_of(next(iter(places.values())))
        self.held_out = held_out(config)
        self.seen, self.kept = images_and_kept(config, places, self.images)

    def look(self, run: str, seed: int, place: Path) -> None:
        """See what the models of one run found; why there is nothing is told with AP by class."""
        if self.seen is None:
            return
        try:
            self.find(run, seed, place)
        except Exception as error:  # the other runs are worth comparing
            self.left_out.append(f'{run}, seed {seed}, is left out: {first_line(error)}.')

    def find(self, run: str, seed: int, place: Path) -> None:
        """See what the models of one run found.

        Raises:
            UserError: If they are evaluated on other images, or there is nothing to see.
        """
        config = config_of(place)
        if held_out(config) != self.held_out:
            raise UserError('it is evaluated on other images than the first run')
        found = found_by(f'{run}, seed {seed}', place, config, self.seen, self.device, self.kept[run, seed])
        self.found.setdefault(run, {})[seed] = found

    @cached_property
    def by_run(self) -> dict[str, dict[str, OverSeeds]]:
        """What the models of each run found, all seeds together; the run with the labels alone first."""
        order = sorted(self.found, key=lambda run: run != self.study.first)
        return {
            run: {
                role: OverSeeds([one[role] for one in self.found[run].values() if role in one])
                for role in next(iter(self.found[run].values()))
            }
            for run in order
        }

    def source(self) -> str:
        """Which detections these are."""
        if any(self.kept.values()):
            after = sorted({one.iteration for one in self.kept.values()})
            return f'The last validation of each run (iteration {", ".join(map(str, after))})'
        return 'The last checkpoint of each run'

    def detections(self) -> None:
        """AP by class and by size of all models."""
        if self.found:
            seeds = 'the mean over the seeds; ' if any(len(one) > 1 for one in self.found.values()) else ''
            by_class_and_size(self.page, self.seen, everyone(self.by_run)[0], self.source(), seeds)
        self.page.items(self.left_out)

    def differences(self) -> None:
        """Each model beside that of the labels alone, and each teacher beside its student."""
        found, pairs = everyone(self.by_run) if self.found else ({}, [])
        if pairs:
            self.page.section(
                'Student against teacher, and both against labels alone',
                'AP in percent on these images: what each model has more than that of '
                f'{self.study.first}, and each teacher more than its student; '
                f'{BRACKET}. {CHANCE} Other seeds are not in the brackets.',
            )
            self.page.table(*fitted(*apart_of(found, pairs, self.seen)))

    def pictures(self) -> None:
        """Contact sheets: the worst and the best images of one run, and those on which the runs differ most."""
        if not self.found:
            return
        found, _ = teachers(self.by_run)
        by = self.study.main if self.study.main in found else next(iter(found))
        chosen = dict.fromkeys([by, *found])
        shown = {run: found[run] for run in found if run in list(chosen)[:COLUMNS]}
        several = ', the mean over its seeds, of which the last is shown' if len(self.found[by]) > 1 else ''
        whose = 'teacher' if 'teacher' in self.by_run[by] else 'model'
        best_and_worst(self.page, self.seen, shown, by, f'the {whose} of {by}{several}', self.folder)
        if len(shown) > 1:
            most_different(self.page, shown, self.seen, self.folder)

    def config_differences(self) -> None:
        """Where the configs of the runs differ from one another."""
        configs = self.configs()
        if len(configs) > 1:
            self.page.section(
                'Where the configs differ', 'With the last seed of each. A dash: the run has no such key.'
            )
            self.page.table(['key', *configs], config_differences(configs))

    def made_with(self) -> None:
        """Commits, machines and versions of the trainings, their commands, and the configs."""
        surroundings(self.page, made_with(self.study.entries) or here(), self.configs())
        commands = [f'{one["run"]}, seed {one["seed"]}: {one["command"]}' for one in self.study.entries]
        if commands:
            self.page.folded('The commands', '\n'.join(commands))


def held_out(config: Config) -> dict:
    """Which images a config is evaluated on, however it reads them."""
    dataset = (config.get('val_dataloader') or {}).get('dataset') or {}
    return {key: value for key, value in dataset.items() if key != 'pipeline'}


def made_with(entries: Sequence[Mapping]) -> dict[str, str]:
    """What results were made with; several values where they were made with several."""
    found: dict[str, dict] = {}
    for entry in entries:
        facts = {key: entry.get(key) for key in ('commit', 'dirty')} | entry.get('machine', {})
        for key, value in (facts | entry.get('versions', {})).items():
            found.setdefault(key, {})[str(value)] = None
    seconds = sum(entry.get('seconds', 0) for entry in entries)
    told = {key: ', '.join(values) for key, values in found.items()}
    return told | {'hours of training': f'{seconds / 3600:.2f}'} if told else {}
