"""Files that are whole under their names, or not there: written under another name, to the disk, then renamed."""

import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: Seconds after which an unfinished file is taken for one whose process has ended, whatever machine it was on.
PATIENCE = 86400.0
_PART = re.compile(r'\..+\.(?P<pid>\d+)@(?P<machine>.+)\.part')


@contextmanager
def replacing(path: str | os.PathLike, to_disk: bool = True) -> Iterator[Path]:
    """A name beside ``path`` to write a file under, which takes the name of ``path`` at the end.

    Whoever reads meanwhile, or after a kill, has the file before. What an error or an interruption leaves unfinished is
    removed; what a kill left, with the next file of its folder.

    Args:
        path: The file; one that is there is replaced, its folder is made if missing.
        to_disk: Wait until the disk has it, so that it outlives a power cut. False for many files that can be made
            again.

    Raises:
        OSError: As writing does; an old file is as it was then.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if to_disk:
        remove_left(path.parent)
    part = path.with_name(f'.{path.name}.{os.getpid()}@{_machine()}.part')
    try:
        yield part
        if to_disk:
            _sync(part, os.O_RDWR)
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    if to_disk:
        with suppress(OSError):  # not every file system can
            _sync(path.parent, os.O_RDONLY)


def write_file(path: str | os.PathLike, content: bytes | memoryview | str) -> None:
    """Write a file in one step, a text in UTF-8; :func:`replacing` says how.

    Raises:
        OSError: As writing does; nothing is left of the new file then, and an old one is as it was.
    """
    with replacing(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def remove_left(folder: Path) -> None:
    """Remove what processes that were killed have left unfinished in a folder, and nothing that one is writing now.

    Whether a process of another machine lives cannot be seen: what it has left goes after :data:`PATIENCE`.
    """
    for part in folder.glob('.*.part'):
        owner = _PART.fullmatch(part.name)
        if owner is None:
            continue
        with suppress(OSError):  # another process removes it, or it is another user's
            old = time.time() - part.stat().st_mtime > PATIENCE
            if old or (owner['machine'] == _machine() and not _is_running(int(owner['pid']))):
                part.unlink()


def _sync(path, flags):
    """Wait until the disk has a file, or the names in a folder."""
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _machine():
    """Where numbers of processes are of the same processes: a machine, or a container on it."""
    name = socket.gethostname()
    with suppress(OSError):  # not every system has it
        name += f'-{os.stat("/proc/self/ns/pid").st_ino}'
    return name


def _is_running(pid):
    """Whether there is a process of this number on this machine; true where that cannot be asked."""
    try:
        if os.name == 'posix':
            os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it is another user's
        pass
    return True
