"""The page of one run: what it logged, what it finds, and where it was made."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from mmengine.config import Config

from sssd import provenance
from sssd.checkpoints.files import newest_checkpoint
from sssd.checks.data import examine
from sssd.checks.findings import shown
from sssd.errors import UserError
from sssd.figures.style import plt, styled
from sssd.report.config_differences import base_differences
from sssd.report.contact_sheet import GROUND_TRUTH, draw_rows
from sssd.report.curves import plot_curves
from sssd.report.detected import AREAS, Found, Images, extremes, images_and_kept, look, rows_of
from sssd.report.kept import Kept
from sssd.report.page import Page
from sssd.report.scalars import Curves, history, read_curves

NAME = 'report.html'
RATIOS = dict(scale_grad_ratio='Eq. 2', distill_grad_ratio='Eq. 3', guide_grad_ratio='guide')
#: From this score on a detection is drawn.
SCORE = 0.3


def write_report(work_dir: str | Path, out: str | Path | None = None, images: int = 100, device: str = 'cpu') -> Path:
    """Write the page of a run, trained or stopped.

    Args:
        work_dir: Its work directory.
        out: The page; ``report.html`` in the work directory if None.
        images: Most validation images that its model is run on, if the last validation's detections were not kept; 0
            leaves AP by class and the pictures out.
        device: Where.

    Returns:
        The page.

    Raises:
        UserError: If the directory has no run that logged anything.
    """
    work_dir = Path(work_dir)
    curves, config = read_curves(work_dir), config_of(work_dir)
    if not curves:
        raise UserError(f'{work_dir} has nothing to report: no iteration was logged yet; train on, and ask again.')
    page = Page(f'Report of {work_dir.name}', f'Config {Path(config.filename).name}; written {provenance.now()}.')
    with tempfile.TemporaryDirectory() as folder:
        evaluations(page, curves)
        drawn_curves(page, {work_dir.name: curves}, Path(folder))
        ratios(page, curves, Path(folder))
        teacher(page, curves, Path(folder))
        checkpoint = newest_checkpoint(work_dir, say=lambda _: None)
        if images and checkpoint is not None and config.get('val_dataloader'):
            seen, kept = images_and_kept(config, {NAME: work_dir}, images)
            found = look(config, checkpoint, seen, device, kept[NAME])
            detections(page, seen, found, Path(folder), source(kept[NAME], checkpoint))
    data(page, config)
    differences_to_base(page, work_dir)
    surroundings(page, config)
    return page.write(out or work_dir / NAME)


def config_of(work_dir: Path) -> Config:
    """The config that a run left in its work directory.

    Raises:
        UserError: If there is none, or no single one.
    """
    if not work_dir.is_dir():
        raise UserError(f'there is no work directory {work_dir}: name that of a run, as `sssd train` printed it.')
    configs = sorted(work_dir.glob('*.py'))
    if len(configs) != 1:
        raise UserError(f'{work_dir} holds {len(configs)} configs, not one: name the work directory of one run.')
    return Config.fromfile(configs[0])


def evaluations(page: Page, curves: Curves) -> None:
    """AP of student and teacher at the last and at the best evaluation."""
    page.section('Validation', 'AP in percent at the last evaluation, and at the one with the best AP.')
    rows = []
    for role, entries in history(curves).items():
        best = max(entries, key=lambda row: row.get('AP') or 0.0)
        for which, row in (('last', entries[-1]), ('best', best)):
            rows.append(
                [role, which, row['iter'], *(row.get(key) for key in ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl'))]
            )
    if rows:
        page.table(['', '', 'iteration', 'AP', 'AP50', 'AP75', 'small', 'medium', 'large'], rows)
    else:
        page.text('Not evaluated yet.')


def drawn_curves(page: Page, runs: Mapping[str, Curves], folder: Path) -> None:
    """AP and loss terms over the iterations."""
    page.section('Curves')
    page.picture(plot_curves({name: [one] for name, one in runs.items()}, folder / 'curves.png'), 'AP and loss terms')


def ratios(page: Page, curves: Curves, folder: Path) -> None:
    """How hard the unlabelled images, or the guide, pull beside the labels."""
    names = {name: title for name, title in RATIOS.items() if name in curves}
    if names:
        page.section(
            'How hard each loss pulls',
            'Gradient norms at the shared features over that of the labels; 0.3 to 1 is where to begin, above 2 is too '
            'much.',
        )
        page.picture(
            lines(curves, names, 'gradient ratio', folder / 'ratios.png'), 'Gradient ratios over the iterations'
        )


def teacher(page: Page, curves: Curves, folder: Path) -> None:
    """What the teacher says of the unlabelled images."""
    names = {name: name.removesuffix('_teacher_above_half') for name in curves if name.endswith('teacher_above_half')}
    if names:
        page.section(
            'What the teacher says of unlabelled images',
            'Rows (cells, anchors or proposals) in which it gives an object more than one half, in percent. A teacher '
            'that is hardly ever sure teaches little.',
        )
        percent = {name: curves[name]._replace(values=[100 * value for value in curves[name].values]) for name in names}
        page.picture(
            lines(percent, names, 'rows above one half (%)', folder / 'teacher.png'), 'The teacher, over the iterations'
        )


def lines(curves: Curves, names: Mapping[str, str], label: str, out: Path) -> Path:
    """Some curves in one small figure."""
    with styled():
        figure, axes = plt.subplots(figsize=(10, 3.4), layout='constrained')
        for name, title in names.items():
            axes.plot(*curves[name], label=title or 'all', marker='.' if len(curves[name].steps) == 1 else '')
        axes.set(xlabel='iteration', ylabel=label)
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False)
        figure.savefig(out)
        plt.close(figure)
    return out


def detections(page: Page, images: Images, found: Mapping[str, Found], folder: Path, source: str) -> None:
    """AP by class and by size with intervals, and the best and the worst images."""
    page.section(
        'By class and by size',
        f'{source}, on {len(images.infos)} validation images: AP in percent and, in brackets, where it lies in '
        '95 % of 1000 drawings of these images with replacement.',
    )
    rows = [[name, *(interval(one.ap(label)) for one in found.values())] for label, name in enumerate(images.classes)]
    rows += [
        [f'objects: {name}', *(interval(one.ap(area=area)) for one in found.values())]
        for area, name in enumerate(AREAS)
    ]
    page.table(['', *found], rows)
    shown = next(iter(found))
    for which, chosen in extremes(found[shown], images).items():
        if chosen:
            page.section(
                f'The {which} images', f'By the AP of the {shown}; detections with a score of {SCORE} or more.'
            )
            path = draw_rows(
                rows_of(images, chosen, found, SCORE),
                [GROUND_TRUTH, *found],
                images.classes,
                folder / f'{which}.png',
                SCORE,
            )
            page.picture(path, f'The {which} of {len(images.infos)} images')


def source(kept: Kept | None, checkpoint: Path) -> str:
    """Which detections a page is made of, for a sentence."""
    return f'The validation after iteration {kept.iteration}' if kept else checkpoint.name


def interval(estimate) -> str | None:
    """An AP and its interval as text; None where there is no such object."""
    low, high = estimate.interval()
    if estimate.value != estimate.value or low != low:
        return None
    return f'{estimate.value:.1f} ({low:.1f} to {high:.1f})'


def data(page: Page, config: Config) -> None:
    """What the doctor says of the data, as they are now."""
    page.section('Data', 'What the data sets hold now, and what `sssd doctor` would warn of.')
    try:
        findings = examine(config).findings
        lines = [*findings.lines, *findings.told()]
    except Exception as error:  # data that have gone since are no reason to have no page
        lines = [f'They cannot be looked at any more: {error}']
    page.items(shown(line) for line in lines)


def differences_to_base(page: Page, work_dir: Path) -> None:
    """Where the config differs from its base, if it has one and the training kept it."""
    rows = base_differences(work_dir)
    if rows is not None:
        page.section('What the config changes', 'Keys that differ from the files in its `_base_`. A dash: no such key.')
        page.table(['key', 'base', 'here'], rows)


def surroundings(page: Page, config: Config) -> None:
    """Where it was made, and the config."""
    page.section('Made with')
    facts = dict(provenance.commit(), **provenance.machine(), **provenance.versions())
    page.table(['', ''], [[name, value] for name, value in facts.items()])
    page.folded('The whole config', config.pretty_text)
