"""The checkpoints in a work directory: which there are, and the newest that can be read."""

import os
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

from sssd.checkpoints.content import check_resumable
from sssd.checkpoints.loading import is_trusting, read_checkpoint
from sssd.errors import UserError

TEMPLATES = ('iter_{}.pth', 'epoch_{}.pth')
#: File in which MMEngine names the newest checkpoint. Only a hint: it may be lost, empty or out of date.
HINT = 'last_checkpoint'


def checkpoint_files(work_dir: str | os.PathLike, template: str | None = None) -> list[Path]:
    """The files of a run that a training could go on from, the newest first; none of them is opened.

    They are told by their names, ``iter_N.pth`` and ``epoch_N.pth``, those of ``template``, and the one in
    ``last_checkpoint``.  Of several kinds the one that was written last comes first.

    Args:
        work_dir: The run's work directory, or the folder in which its checkpoints are.
        template: ``filename_tmpl`` of the config's CheckpointHook, such as ``'step_{}.pth'``.
    """
    folder, hint = Path(work_dir), read_hint(work_dir)
    templates = [*TEMPLATES, *[template] * (template is not None and template.count('{}') == 1)]
    found = _numbered(folder, templates)
    if hint is not None:
        if not found and not (folder / hint.name).is_file():
            folder = hint.parent  # of a CheckpointHook with an out_dir
            found = _numbered(folder, templates)
        named = folder / hint.name
        if named.is_file() and named not in [path for _, _, path in found]:
            found.append((hint.name, 0, named))
    written = {}
    for kind, _, path in found:
        written[kind] = max(written.get(kind, 0), path.stat().st_mtime_ns)
    return [path for kind, _, path in sorted(found, key=lambda one: (written[one[0]], one[1]), reverse=True)]


def best_files(folder: str | os.PathLike) -> list[Path]:
    """The checkpoints of a folder that a CheckpointHook has kept as the best ones, by their names."""
    folder = Path(folder)
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in paths if path.name.startswith('best_') and path.suffix == '.pth']


def number_of(checkpoint: Path) -> int:
    """The iteration (or epoch) in a checkpoint's name; 0 if there is none."""
    found = re.findall(r'\d+', checkpoint.stem)
    return int(found[-1]) if found else 0


def _numbered(folder, templates):
    """Template, number and path of the files in a folder whose names are of one of the templates."""
    found = []
    for template in templates:
        pattern = re.compile(r'(\d+)'.join(re.escape(part) for part in template.split('{}')))
        for path in folder.iterdir() if folder.is_dir() else ():
            match = pattern.fullmatch(path.name)
            if match and path.is_file():
                found.append((template, int(match[1]), path))
    return found


def read_hint(work_dir: str | os.PathLike) -> Path | None:
    """The file that ``last_checkpoint`` names, relative to the work directory or not; None if it names none."""
    try:
        with open(Path(work_dir) / HINT, encoding='utf-8', errors='replace') as handle:
            text = handle.read(4096).strip()
    except OSError:
        return None
    return Path(work_dir) / text if text and text.isprintable() and Path(text).name else None


def newest_checkpoint(
    work_dir: str | os.PathLike, template: str | None = None, say: Callable[[str], None] = lambda sentence: None
) -> Path | None:
    """The newest checkpoint of a run that can be read and gone on from.

    Args:
        work_dir: The run's work directory, or the folder in which its checkpoints are.
        template: As of :func:`checkpoint_files`.
        say: Called with a sentence about each newer one that was passed over.

    Returns:
        Its path; None if the run has left no checkpoint at all.

    Raises:
        UserError: If it has, but none can be read.
    """
    passed_over = []
    for path in checkpoint_files(work_dir, template):
        trouble = _trouble_with(path)
        if trouble is None:
            for sentence in passed_over:
                say(f'passed over: {sentence}')
            return path
        passed_over.append(trouble)
    if passed_over:
        raise UserError(
            f'no checkpoint in {work_dir} can be read, of {len(passed_over)}, the newest because: '
            f'{passed_over[0].rstrip(".")}; to start anew, move them away.'
        )
    return None


def _trouble_with(path):
    """Why a file cannot be gone on from, in a sentence, or None. What is known of a file is asked only once."""
    status = path.stat()
    return _read(path, status.st_size, status.st_mtime_ns, is_trusting())


@lru_cache(maxsize=64)
def _read(path, size, mtime, trusting):
    """The same, for a file of this size and time."""
    try:
        check_resumable(read_checkpoint(path), str(path))
    except (UserError, FileNotFoundError) as error:
        return str(error)
    return None


def checkpoint_place(cfg: Mapping) -> tuple[str, str | None]:
    """Where a config's training has left its checkpoints, and the template of their names if it has its own.

    That is the folder in which its CheckpointHook writes, or the work directory where there are none.
    """
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    template, out, work_dir = hook.get('filename_tmpl'), hook.get('out_dir'), str(cfg['work_dir'])
    if out and '://' not in str(out):
        folder = os.path.join(out, os.path.basename(work_dir.rstrip(os.sep)))
        if checkpoint_files(folder, template) or (best_files(folder) and not checkpoint_files(work_dir, template)):
            return folder, template
    return work_dir, template
