"""One process of a study: started with a log, looked at while it runs, never left behind."""

import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sssd.errors import PREFIX

POLL_SECONDS = 1.0
#: How much of the end of a log is looked at for what a process said last.
TAIL = 65536
#: The last line of a traceback: the error's type and what it says.
RAISED = re.compile(r'(?:[\w.]+\.)?[A-Z]\w*(?:Error|Exception|Exit|Interrupt)\b: .+')


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


def size_of(log: Path) -> int:
    """Bytes in a log so far, which is where the part of the next process begins."""
    return log.stat().st_size if log.is_file() else 0


def last_words(log: Path, begin: int = 0) -> str | None:
    """Why a process ended, as its log has it.

    Args:
        log: The file with what it printed.
        begin: Where its part begins.

    Returns:
        The sentence of a command of sssd that refused, else the last line of a traceback; None if there is neither.
    """
    with open(log, 'rb') as handle:
        handle.seek(max(begin, handle.seek(0, os.SEEK_END) - TAIL))
        lines = [line.strip() for line in handle.read().decode(errors='replace').splitlines()]
    told = [line.removeprefix(PREFIX) for line in lines if line.startswith(PREFIX)]
    raised = [line for line in lines if RAISED.fullmatch(line)]
    return (told or raised or [None])[-1]


def failure(what: str, code: int, log: Path, begin: int = 0) -> str:
    """A sentence about a process of a study that failed, with its own words.

    Args:
        what: What it was to do: ``'the run sed, seed 0'``.
        code: Its exit status.
        log: The file with what it printed.
        begin: Where its part begins.
    """
    words = last_words(log, begin)
    said = f' ({words.rstrip(".")})' if words else ''
    return (
        f'{what} failed with exit status {code}{said}: see the end of {log}, mend it and call the study again; '
        'what is done is kept'
    )


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
