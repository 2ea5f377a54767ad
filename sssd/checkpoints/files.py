"""The checkpoints in a work directory."""

import re
from pathlib import Path

NAME = re.compile(r'(?:iter|epoch)_(\d+)\.pth$')


def complete_checkpoints(work_dir: Path) -> list[tuple[int, Path]]:
    """The complete checkpoints of a run, oldest first.

    The file ``last_checkpoint`` is written after a checkpoint is, so a later
    one may be half written and does not count.

    Args:
        work_dir: The run's work directory.

    Returns:
        Pairs of the iteration (or epoch) and the path.
    """
    mark = work_dir / 'last_checkpoint'
    if not mark.is_file():
        return []
    last = NAME.match(Path(mark.read_text().strip()).name)
    end = int(last[1]) if last else 0
    found = sorted(
        (int(match[1]), path) for path in work_dir.glob('*.pth') for match in [NAME.match(path.name)] if match
    )
    return [(number, path) for number, path in found if number <= end]


def last_checkpoint(work_dir: Path) -> Path | None:
    """The newest complete checkpoint of a run, if there is one."""
    found = complete_checkpoints(work_dir)
    return found[-1][1] if found else None
