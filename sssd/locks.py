"""One process, and one thread, at a time in a directory."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

#: The file in a directory that is locked; it stays, empty, as the next lock needs it.
LOCK = '.lock'
#: Seconds between two calls of what goes on while it waits.
POLL_SECONDS = 1.0


@contextmanager
def directory_lock(directory: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a directory; others that ask for it wait, on other nodes that share its disk too.

    The lock ends with the process. In a directory that this process may not write in, there is nothing to guard, and
    no lock.

    Args:
        directory: The directory, made if missing.
        waiting: Called about once a second while another one has it; may raise.
    """
    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / LOCK)
    held = True
    while True:
        try:
            lock.acquire(timeout=POLL_SECONDS)
            break
        except Timeout:
            waiting()
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS) or os.access(directory, os.W_OK):
                raise
            held = False
            break
    try:
        yield
    finally:
        if held:
            lock.release()
