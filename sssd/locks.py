"""One process, and one thread, at a time in a directory."""

import errno
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from sssd.errors import UserError

#: The file in a directory that is locked; it stays, empty, as the next lock needs it.
LOCK = '.lock'
#: The note beside it that tells who trains there.
HOLDER = '.training.json'
#: Seconds between two calls of what goes on while it waits.
POLL_SECONDS = 1.0
#: Seconds for which a training waits for one that is just ending.
PATIENCE = 10.0
#: What the system says where a disk knows no locks.
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP)


@contextmanager
def directory_lock(directory: Path, waiting: Callable[[], None] = lambda: None, soft: bool = True) -> Iterator[None]:
    """Hold a directory; others that ask for it wait, on other nodes that share its disk too.

    The lock ends with the process. In a directory that this process may not write in, there is nothing to guard, and
    no lock.

    Args:
        directory: The directory, made if missing.
        waiting: Called about once a second while another one has it; may raise.
        soft: On a disk that knows no locks: whether the file itself is the lock, which stays where a process is
            killed, or there is none.
    """
    directory.mkdir(parents=True, exist_ok=True)
    lock = _lock_of(directory, soft)
    held = True
    while True:
        try:
            lock.acquire(timeout=POLL_SECONDS)
            break
        except Timeout:
            waiting()
        except NotImplementedError:  # of older versions of filelock, as ENOSYS
            if soft:
                raise
            held = False
            break
        except OSError as error:
            denied = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) and not os.access(directory, os.W_OK)
            if not denied and (soft or error.errno not in NO_LOCKS):
                raise
            held = False
            break
    try:
        yield
    finally:
        if held:
            lock.release()


def _lock_of(directory: Path, soft: bool) -> FileLock:
    try:
        return FileLock(directory / LOCK, fallback_to_soft=soft)
    except TypeError:  # older versions of filelock never take the file itself for the lock
        return FileLock(directory / LOCK)


@dataclass(frozen=True)
class Holder:
    """The process that trains in a work directory.

    Attributes:
        pid: Its number on its machine; None where it did not tell.
        host: Its machine.
        job: Its job of Slurm, if it is in one.
    """

    pid: int | None = None
    host: str | None = None
    job: str | None = None

    @classmethod
    def this(cls) -> 'Holder':
        """The present process."""
        return cls(os.getpid(), socket.gethostname(), os.environ.get('SLURM_JOB_ID'))

    def __str__(self) -> str:
        if self.pid is None:
            return 'another process'
        where = '' if self.host == socket.gethostname() else f' on {self.host}'
        return f'process {self.pid}{where}{f" (job {self.job} of Slurm)" if self.job else ""}'

    @property
    def remedy(self) -> str:
        """How to end it, in words."""
        if self.pid is None:
            return 'end it'
        command = f'scancel {self.job}' if self.job else f'kill {self.pid}'
        where = '' if self.job or self.host == socket.gethostname() else f' on {self.host}'
        return f'end it with `{command}`{where}'


@contextmanager
def training_lock(work_dir: str | os.PathLike, say: Callable[[str], None] = lambda sentence: None) -> Iterator[None]:
    """Hold a work directory while this process trains in it.

    One that is held is waited for, but not for long: a process that was told to end saves first. There is no lock on a
    disk that knows none.

    Args:
        work_dir: The directory, made if missing.
        say: Called with a sentence where it has to wait.

    Raises:
        UserError: If another process trains there, naming it and how to end it.
    """
    waited = 0.0

    def wait() -> None:
        """Say once who is there; no longer than PATIENCE."""
        nonlocal waited
        holder = training_in(work_dir) or Holder()
        if not waited:
            say(f'{holder} trains in {work_dir}; waiting for it for {PATIENCE:.0f} seconds')
        waited += POLL_SECONDS
        if waited >= PATIENCE:
            raise UserError(
                f'{holder} trains in {work_dir}, and two trainings in one folder would spoil both: wait until it has '
                f'ended, {holder.remedy}, or give another folder with --work-dir.'
            )

    with directory_lock(Path(work_dir), wait, soft=False):
        note = Path(work_dir) / HOLDER
        try:
            note.write_text(json.dumps(vars(Holder.this())))
        except OSError:  # it only helps to tell
            note = None
        try:
            yield
        finally:
            if note is not None:
                note.unlink(missing_ok=True)


def training_in(work_dir: str | os.PathLike) -> Holder | None:
    """Who trains in a work directory now; None if nobody does, or its disk knows no locks."""
    lock = _lock_of(Path(work_dir), soft=False)
    if not (Path(work_dir) / LOCK).is_file():
        return None
    try:
        lock.acquire(timeout=0)
        lock.release()
        return None
    except Timeout:
        pass
    except (OSError, NotImplementedError):
        return None
    try:
        return Holder(**json.loads((Path(work_dir) / HOLDER).read_text()))
    except (OSError, ValueError, TypeError):
        return Holder()
