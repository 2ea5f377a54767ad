"""The page of one run: what it logged, what it finds, and where it was made."""

import tempfile
from functools import partial
from pathlib import Path

from mmengine.config import Config

from sssd import provenance
from sssd.checkpoints.files import newest_checkpoint
from sssd.errors import UserError
from sssd.progress import tracked
from sssd.report.detected import images_and_kept, look
from sssd.report.page import Page
from sssd.report.scalars import read_curves
from sssd.report.sections import (
    best_and_worst,
    by_class_and_size,
    config_of,
    data,
    differences_to_base,
    drawn_curves,
    evaluations,
    here,
    ratios,
    source,
    surroundings,
    teacher,
)

NAME = 'report.html'


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
    name, curves, config = work_dir.name, read_curves(work_dir), config_of(work_dir)
    if not curves:
        raise UserError(f'{work_dir} has nothing to report: no iteration was logged yet; train on, and ask again.')
    page = Page(f'Report of {name}', f'Config {Path(config.filename).name}; written {provenance.now()}.')
    out, runs = Path(out or work_dir / NAME), {name: [curves]}
    with tempfile.TemporaryDirectory() as folder:
        steps = [
            partial(evaluations, page, runs),
            *(partial(section, page, runs, Path(folder)) for section in (drawn_curves, ratios, teacher)),
            partial(detections, page, work_dir, config, images, device, Path(folder)),
            partial(data, page, {name: config}),
            partial(differences_to_base, page, {name: work_dir}),
            partial(surroundings, page, here(), {name: config}),
        ]
        for make in tracked(steps, f'writing {out.name}', len(steps)):
            make()
    return page.write(out)


def detections(page: Page, work_dir: Path, config: Config, images: int, device: str, folder: Path) -> None:
    """AP by class and by size, and the worst and the best images, of a run with detections or a checkpoint."""
    if not images or not config.get('val_dataloader'):
        return
    try:
        seen, kept = images_and_kept(config, {NAME: work_dir}, images)
    except UserError as error:  # the curves are worth a page
        page.section('By class and by size', f'Left out: {error}')
        return
    checkpoint = newest_checkpoint(work_dir, say=lambda _: None) if kept[NAME] is None else None
    if kept[NAME] is None and checkpoint is None:
        return
    found = look(config, checkpoint, seen, device, kept[NAME])
    by_class_and_size(page, seen, found, source(kept[NAME], checkpoint))
    shown = next(iter(found))
    best_and_worst(page, seen, found, shown, f'the {shown}', folder)
