"""Writing checkpoints: a file is whole under its name, or it is not there."""

import io
import os
import re
import shutil
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from mmengine.fileio import LocalBackend, get_file_backend

from sssd.errors import LocalError

REMEDY = 'make room or permit it, then call the same with --resume, as earlier checkpoints are what they were'
#: Seconds after which an unfinished file is taken for one whose process has ended, whatever machine it was on.
PATIENCE = 86400.0
_PART = re.compile(r'\..+\.(?P<pid>\d+)@(?P<machine>.+)\.part')


def write_file(path: str | os.PathLike, content: bytes | memoryview) -> None:
    """Write a file in one step: under another name, to the disk, then renamed.

    Args:
        path: Its name; a file of this name is replaced.
        content: What is in it.

    Raises:
        OSError: As writing does; nothing is left of the new file then, and an old one is as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_left(path.parent)
    part = path.with_name(f'.{path.name}.{os.getpid()}@{_machine()}.part')
    try:
        with open(part, 'wb') as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # not every file system can
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


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


def _machine() -> str:
    """Where numbers of processes are of the same processes: a machine, or a container on it."""
    name = socket.gethostname()
    with suppress(OSError):  # not every system has it
        name += f'-{os.stat("/proc/self/ns/pid").st_ino}'
    return name


def _is_running(pid: int) -> bool:
    """Whether there is a process of this number on this machine; true where that cannot be asked."""
    try:
        if os.name == 'posix':
            os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it is another user's
        pass
    return True


def write_checkpoint(checkpoint: Any, path: str | os.PathLike, remedy: str = 'make room or permit it') -> None:
    """Write a checkpoint in one step.

    Args:
        checkpoint: What ``torch.save`` takes; the checksums that it writes are those that are asked for when reading.
        path: Its name.
        remedy: What to do where it cannot be written, for the sentence.

    Raises:
        LocalError: If there is no room or no permission, with the path and the bytes.
    """
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    try:
        write_file(path, buffer.getbuffer())
    except OSError as error:
        size = buffer.getbuffer().nbytes
        raise LocalError(
            f'checkpoint {path} of {size} bytes cannot be written ({error.strerror or error}; {_free(path)}): {remedy}.'
        ) from error


def _free(path):
    """How much room there is, in words."""
    folder = os.path.dirname(os.path.abspath(path))
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return f'{shutil.disk_usage(folder).free} bytes are free on its disk'


def save_checkpoint(original, checkpoint: Any, filename: str, file_client_args=None, backend_args=None) -> None:
    """What MMEngine's ``save_checkpoint`` does, files of this machine by :func:`write_checkpoint`.

    Args:
        original: MMEngine's function, which writes all others.
        checkpoint: The checkpoint.
        filename: Its path or address.
        file_client_args: As MMEngine takes it.
        backend_args: As MMEngine takes it.
    """
    filename = str(filename)
    ours = file_client_args is None and '://' not in filename
    if ours and isinstance(get_file_backend(filename, backend_args=backend_args), LocalBackend):
        write_checkpoint(checkpoint, filename, REMEDY)
    else:
        original(checkpoint, filename, file_client_args=file_client_args, backend_args=backend_args)
