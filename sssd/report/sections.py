"""The sections of which the pages of a run, of several runs and of a study are put together."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.lines import Line2D
from mmengine.config import Config

from sssd import provenance
from sssd.checks.data import examine
from sssd.checks.findings import shown, some
from sssd.errors import UserError, first_line
from sssd.figures.style import WIDTH, colour, dashes, legend_below, plain, plt, styled
from sssd.report.bootstrap import Estimate
from sssd.report.config_differences import base_differences
from sssd.report.contact_sheet import GROUND_TRUTH, draw_rows
from sssd.report.curves import SEVERAL, plot_curves, shortened
from sssd.report.detected import AREAS, DRAWS, Found, Images, OverSeeds, extremes, rows_of
from sssd.report.kept import Kept
from sssd.report.page import Page
from sssd.report.scalars import Curve, Curves, history
from sssd.report.tables import DASH, spread

RATIOS = dict(
    scale_grad_ratio='Eq. 2', distill_grad_ratio='Eq. 3', pseudo_grad_ratio='pseudo-labels', guide_grad_ratio='guide'
)
ABOVE_HALF = 'teacher_above_half'
METRICS = dict(AP='AP', AP50='AP50', AP75='AP75', APs='small', APm='medium', APl='large')
#: From this score on a detection is drawn.
SCORE = 0.3
#: What a bracket behind a figure is.
BRACKET = f'in brackets, where it lies in 95 % of {DRAWS} drawings of these images with replacement'
#: Runs by name, and of each what its seeds logged.
Logged = Mapping[str, Sequence[Curves]]


def config_of(work_dir: Path) -> Config:
    """The config that a run left in its work directory.

    Raises:
        UserError: If there is none, or no single one.
    """
    if not work_dir.is_dir():
        raise UserError(f'there is no work directory {work_dir}: name that of a run, as `sssd train` printed it.')
    configs = sorted(work_dir.glob('*.py'))
    if len(configs) != 1:
        inside = sorted(str(path.parent) for path in work_dir.glob('**/last_checkpoint'))
        found = f'; below it are {some(inside, 6)}' if inside else ''
        raise UserError(f'{work_dir} holds {len(configs)} configs, not one: name the work directory of one run{found}.')
    return Config.fromfile(configs[0])


def evaluations(page: Page, runs: Logged) -> None:
    """AP of student and teacher at the last and at the best evaluation; of several seeds mean and deviation."""
    several = len(runs) > 1 or any(len(seeds) > 1 for seeds in runs.values())
    about = 'AP in percent at the last evaluation, and at the one with the best AP'
    page.section('Validation', f'{about}; over seeds ± their standard deviation.' if several else f'{about}.')
    rows = []
    for run, seeds in runs.items():
        told = [history(curves) for curves in seeds]
        for role in dict.fromkeys(role for one in told for role in one):
            entries = [one[role] for one in told if role in one]
            best = [max(one, key=lambda row: row.get('AP') or 0.0) for one in entries]
            for which, chosen in (('last', [one[-1] for one in entries]), ('best', best)):
                iterations = ', '.join(map(str, sorted({row['iter'] for row in chosen})))
                cells = [spread([row.get(key) for row in chosen]) for key in METRICS]
                cells = [None if cell == DASH else cell for cell in cells]
                rows.append([*([run, len(chosen)] if several else []), role, which, iterations, *cells])
    if rows:
        page.table([*(['run', 'seeds'] if several else []), '', '', 'iteration', *METRICS.values()], rows)
    else:
        page.text('Not evaluated yet.')


def drawn_curves(page: Page, runs: Logged, folder: Path) -> None:
    """AP and loss terms over the iterations."""
    page.section('Curves', 'One line for each seed.' if any(len(seeds) > 1 for seeds in runs.values()) else '')
    page.picture(plot_curves(runs, folder / 'curves.png'), 'AP and loss terms')


def ratios(page: Page, runs: Logged, folder: Path) -> None:
    """How hard the unlabelled images, or the guide, pull beside the labels."""
    names = {name: title for name, title in RATIOS.items() if logged_by(runs, name)}
    if names:
        page.section(
            'How hard each loss pulls',
            'Gradient norms at the shared features over that of the labels; 0.3 to 1 is where to begin, above 2 is too '
            'much.',
        )
        panels = panels_of(runs, names)
        page.picture(
            lines(panels, list(runs), 'gradient ratio', folder / 'ratios.png'), 'Gradient ratios over the iterations'
        )


def teacher(page: Page, runs: Logged, folder: Path) -> None:
    """What the teacher says of the unlabelled images."""
    every = dict.fromkeys(name for seeds in runs.values() for curves in seeds for name in curves)
    names = {name: name.removesuffix(f'_{ABOVE_HALF}') or 'all' for name in every if name.endswith(ABOVE_HALF)}
    if names:
        page.section(
            'What the teacher says of unlabelled images',
            'Rows (cells, anchors or proposals) in which it gives an object more than one half, in percent. A teacher '
            'that is hardly ever sure teaches little.',
        )
        panels = panels_of(runs, names, 100)
        path = lines(panels, list(runs), 'rows above one half (%)', folder / 'teacher.png')
        page.picture(path, 'The teacher, over the iterations')


def logged_by(runs: Logged, name: str) -> dict[str, list[Curve]]:
    """The runs that logged something, and its curves by seed."""
    found = {run: [curves[name] for curves in seeds if name in curves] for run, seeds in runs.items()}
    return {run: curves for run, curves in found.items() if curves}


def panels_of(runs: Logged, names: Mapping[str, str], factor: float = 1) -> dict[str, dict[str, list[Curve]]]:
    """Panels of lines: one with a line for each name if there is one run, else one a name with a line for each run."""
    found = {
        title: {
            run: [curve._replace(values=[factor * value for value in curve.values]) for curve in seeds]
            for run, seeds in logged_by(runs, name).items()
        }
        for name, title in names.items()
    }
    if len(runs) > 1:
        return found
    return {'': {title: next(iter(of_run.values())) for title, of_run in found.items()}}


def lines(panels: Mapping[str, Mapping[str, Sequence[Curve]]], order: Sequence[str], label: str, out: Path) -> Path:
    """Some curves side by side in one small figure, with one legend.

    Args:
        panels: By title the lines by name, each the curves of one or several seeds.
        order: Names whose places give the lines their colours; names that are not in it come in their own order.
        label: Of the vertical axis.
        out: The PNG to write.
    """
    names = list(dict.fromkeys(name for panel in panels.values() for name in panel))
    places = {name: order.index(name) if name in order else number for number, name in enumerate(names)}
    with styled():
        figure, grid = plt.subplots(
            1, len(panels), figsize=(WIDTH, 3.4), sharey=True, squeeze=False, layout='constrained'
        )
        for axes, (title, panel) in zip(grid[0], panels.items()):
            for name, seeds in panel.items():
                look = dict(color=colour(places[name]), linestyle=dashes(places[name]))
                for curve in seeds:
                    alone = '.' if len(curve.steps) == 1 else ''
                    axes.plot(*curve, **look, marker=alone, alpha=1 if len(seeds) == 1 else SEVERAL)
            axes.set(xlabel='iteration', title=plain(title))
        grid[0][0].set(ylabel=label)
        grid[0][0].set_ylim(bottom=0)  # of all: once everything is drawn
        handles = [
            Line2D([], [], color=colour(places[name]), linestyle=dashes(places[name]), label=shortened(plain(name)))
            for name in names
        ]
        legend_below(figure, handles)
        figure.savefig(out)
        plt.close(figure)
    return out


def by_class_and_size(
    page: Page, images: Images, found: Mapping[str, Found | OverSeeds], source: str, how: str = ''
) -> None:
    """AP by class and by size with intervals.

    Args:
        page: It goes there.
        images: The images.
        found: What each model found on them.
        source: Which detections these are, to begin the sentence.
        how: What figures are, where they are no run's own.
    """
    page.section(
        'By class and by size',
        f'{source}, on {len(images.infos)} validation images: {how}AP in percent and, {BRACKET}.',
    )
    rows = [[name, *(interval(one.ap(label)) for one in found.values())] for label, name in enumerate(images.classes)]
    rows += [
        [f'objects: {name}', *(interval(one.ap(area=area)) for one in found.values())]
        for area, name in enumerate(AREAS)
    ]
    page.table(*fitted(['', *found], rows))


def fitted(head: Sequence, rows: Sequence[Sequence]) -> tuple[Sequence, Sequence[Sequence]]:
    """A table as it is, or with its columns as rows where there are more columns than rows."""
    if len(head) - 1 <= len(rows):
        return head, rows
    first, *others = ([title, *column] for title, column in zip(head, zip(*rows)))
    return first, others


def best_and_worst(
    page: Page, images: Images, found: Mapping[str, Found | OverSeeds], by: str, whose: str, folder: Path
) -> None:
    """The worst and the best images by the AP of one model, with what all of them found.

    Args:
        page: They go there.
        images: The images.
        found: What each model found on them.
        by: The name of the one.
        whose: What it is, for a sentence.
        folder: For pictures meanwhile.
    """
    for which, chosen in extremes(found[by]).items():
        if chosen:
            page.section(f'The {which} images', f'By the AP of {whose}; detections with a score of {SCORE} or more.')
            rows = rows_of(images, chosen, found, SCORE)
            path = draw_rows(rows, [GROUND_TRUTH, *found], images.classes, folder / f'{which}.png', SCORE)
            page.picture(path, f'The {which} of {len(images.infos)} images')


def source(kept: Kept | None, checkpoint: Path | None) -> str:
    """Which detections a page is made of, for a sentence."""
    return f'The validation after iteration {kept.iteration}' if kept else checkpoint.name


def interval(estimate: Estimate) -> str | None:
    """An AP and its interval as text; None where there is no such object."""
    low, high = estimate.interval()
    if estimate.value != estimate.value or low != low:
        return None
    value, low, high = (round(number, 1) + 0.0 for number in (estimate.value, low, high))  # none is -0.0
    return f'{value:.1f} ({low:.1f} to {high:.1f})'


def data(page: Page, configs: Mapping[str, Config]) -> None:
    """What the doctor says of the data of some runs, as they are now; what holds for all of them is said once."""
    page.section('Data', 'What the data sets hold now, and what `sssd doctor` would warn of.')
    looked: list[tuple[dict, list[str]]] = []
    told: dict[str, list[str]] = {}
    for run, config in configs.items():
        sets = {
            key: config.get(key) for part in ('train', 'val') for key in (f'{part}_dataloader', f'{part}_evaluator')
        }
        known = next((lines for others, lines in looked if others == sets), None)
        if known is None:
            known = data_lines(config)
            looked.append((sets, known))
        for line in known:
            told.setdefault(line, []).append(run)
    page.items(
        shown(line if len(runs) == len(configs) else f'{", ".join(runs)}: {line}') for line, runs in told.items()
    )


def data_lines(config: Config) -> list[str]:
    """A line on each data set of a config, and each warning."""
    try:
        findings = examine(config).findings
        return [*findings.lines, *findings.told()]
    except Exception as error:  # data that have gone since are no reason to have no page
        return [f'They cannot be looked at any more: {first_line(error)}']


def differences_to_base(page: Page, places: Mapping[str, Path]) -> None:
    """Where the config of each run differs from its base, if it has one and the training kept it."""
    kept = {run: base_differences(place) for run, place in places.items()}
    kept = {run: rows for run, rows in kept.items() if rows is not None}
    if kept:
        page.section(
            'What the config changes' if len(places) == 1 else 'What the configs change',
            'Keys that differ from the files in its `_base_`. A dash: no such key.',
        )
        several = len(places) > 1
        rows = [[*([run] if several else []), *row] for run, rows in kept.items() for row in rows]
        page.table([*(['run'] if several else []), 'key', 'base', 'here'], rows)


def surroundings(page: Page, facts: Mapping, configs: Mapping[str, Config]) -> None:
    """Where it was made, and the configs."""
    page.section('Made with')
    page.table(['', ''], [[name, value] for name, value in facts.items()])
    for run, config in configs.items():
        page.folded(f'The whole config of {run}' if len(configs) > 1 else 'The whole config', config.pretty_text)


def here() -> dict:
    """Commit, machine and versions of this process."""
    return dict(provenance.commit(), **provenance.machine(), **provenance.versions())
