"""A run that begins anew where another one was: what the other has left is moved aside, so that nothing is lost.

Left beside the new run's, its checkpoints would be taken for the newest ones, and written over one by one.
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from sssd.checkpoints.files import HINT, best_files, checkpoint_files, number_of
from sssd.checkpoints.validation import RECORD

#: What a run leaves beside its checkpoints and the folders of its logs.
LEFT = (HINT, RECORD, 'last_detections.npz', 'report.html')
_LOGS = re.compile(r'\d{8}_\d{6}')


def is_own(checkpoint: str | None, work_dir: str | os.PathLike, template: str | None = None) -> bool:
    """Whether a run goes on with itself from a checkpoint: it lies where its own are; so does None, its newest one."""
    folders = {Path(work_dir), *(path.parent for path in checkpoint_files(work_dir, template))}
    place = checkpoint and os.path.realpath(os.path.dirname(os.path.expanduser(checkpoint)))
    return checkpoint is None or place in map(os.path.realpath, folders)


def move_aside(
    work_dir: str | os.PathLike, template: str | None = None, needed: Iterable[str] = (), start: str | None = None
) -> str | None:
    """Move what a run has left into a folder ``old1`` (``old2`` and so on) in its place, if it has left a checkpoint.

    One that was kept as the best counts: a run may end before its first regular one.

    Args:
        work_dir: The work directory, or the folder in which the checkpoints are.
        template: As of :func:`~sssd.checkpoints.files.checkpoint_files`.
        needed: Files that the new run reads: with one of them among what would be moved, all stays where it is.
        start: The checkpoint of another folder that the new run goes on from, if it does, for the sentence.

    Returns:
        A sentence about it; None if there was nothing to move.
    """
    folder = Path(work_dir)
    checkpoints = [path for path in checkpoint_files(folder, template) if path.parent == folder]
    best = best_files(folder)
    if not checkpoints and not best:
        return None
    run = f'up to {checkpoints[0].name}' if checkpoints else f'with {best[0].name}'
    left = list(dict.fromkeys([*checkpoints, *best, *_others(folder)]))
    read = next((name for name in needed if _is_of(name, left)), None)
    if read is not None:
        return (
            f'{folder} has a run {run}, and {read} of it is read here: all of it stays where it is, but checkpoints of '
            'the same names are written over; to keep them, give another folder with --work-dir.'
        )
    aside = _new_folder(folder)
    for path in left:
        path.rename(aside / path.name)
    if start is not None:
        goes = f'goes on from {start}'
    else:
        goes = 'begins anew, where --resume would have gone on' if checkpoints else 'begins anew'
    return f'{folder} had a run {run}, which is now in {aside}: this one {goes}.'


def move_later_aside(checkpoint: str | os.PathLike, needed: Iterable[str] = ()) -> str | None:
    """Move checkpoints that are later than one that its run goes back to into a folder ``old1`` beside it.

    Else the course that was left would be the newest one at the next resume.

    Args:
        checkpoint: The one that is gone on from.
        needed: Files that are read: with one of them among the later ones, all stay.

    Returns:
        A sentence about it; None if there is none.
    """
    start = Path(os.path.expanduser(checkpoint))
    kind = re.compile(r'\d+'.join(map(re.escape, re.split(r'\d+', start.name))))
    alike = [path for path in start.parent.glob('*.pth') if kind.fullmatch(path.name)]
    later = sorted((path for path in alike if number_of(path) > number_of(start)), key=number_of)
    if not later or any(_is_of(name, later) for name in needed):
        return None
    aside = _new_folder(start.parent)
    for path in later:
        path.rename(aside / path.name)
    return f'the run goes back to {start.name}, so what is later, up to {later[-1].name}, is now in {aside}.'


def _new_folder(folder: Path) -> Path:
    """The first of ``old1``, ``old2`` and so on that is not there, made."""
    number = 1
    while (aside := folder / f'old{number}').exists():
        number += 1
    aside.mkdir()
    return aside


def _others(folder: Path) -> Iterator[Path]:
    """Logs and pages of a run."""
    for path in folder.iterdir():
        if path.name in LEFT or (_LOGS.fullmatch(path.name) and path.is_dir()):
            yield path


def _is_of(name: str, paths: Iterable[Path]) -> bool:
    """Whether a file is one of these, or in a folder of them, by whatever name."""
    file = Path(os.path.realpath(os.path.expanduser(name)))
    return any(file.is_relative_to(os.path.realpath(path)) for path in paths)
