"""One process at a time in a directory."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # a system without such locks: one process at a time there
    fcntl = None


@contextmanager
def directory_lock(directory: Path) -> Iterator[None]:
    """Hold a directory; others that ask for it wait.

    The lock is on the directory itself, leaves no file behind and ends with
    the process.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        yield
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
