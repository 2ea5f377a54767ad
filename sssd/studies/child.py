"""One process of a study: started with a log, looked at while it runs, never left behind."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

POLL_SECONDS = 1.0


def run_child(words: Sequence[str], log: Path, environment: Mapping[str, str], tick: Callable[[int], None]) -> int:
    """Run a command to its end, or end it with its workers if we are ended.

    Args:
        words: The command.
        log: File that what it prints is added to.
        environment: Variables of the environment, over ours.
        tick: Called about once a second with the place in the log where this command's part begins.

    Returns:
        Its exit status.
    """
    with open(log, 'ab') as handle:
        offset = handle.tell()
        child = subprocess.Popen(
            list(words),
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **environment, 'PYTHONUNBUFFERED': '1'},
        )
    try:
        while True:
            try:
                return child.wait(timeout=POLL_SECONDS)
            except subprocess.TimeoutExpired:
                tick(offset)
    finally:
        _stop(child)


def _stop(child: subprocess.Popen) -> None:
    """End a process that still runs, its data loader's workers with it."""
    if child.poll() is not None:
        return
    os.killpg(child.pid, signal.SIGTERM)
    try:
        child.wait(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
