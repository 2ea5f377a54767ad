"""Processes that have a variable in their environment, and so stem from whoever set it, whatever their parents are now.

Launchers give each worker a session of its own, and a launcher that is killed leaves them without a parent that tells
whose they are. What Linux shows under ``/proc`` is read; elsewhere none is found.
"""

import os
import signal
import time
from pathlib import Path

PROC = Path('/proc')
#: Seconds within which what was killed is gone.
KILLED_SECONDS = 5.0


def marked(name: str, value: str) -> dict[int, int]:
    """The processes that have the variable with this value: pid -> its parent's."""
    wanted, found = f'{name}={value}'.encode(), {}
    for folder in PROC.iterdir() if PROC.is_dir() else ():
        try:
            if folder.name.isdigit() and wanted in (folder / 'environ').read_bytes().split(b'\0'):
                state = (folder / 'stat').read_text().rpartition(')')[2].split()
                found[int(folder.name)] = int(state[1])
        except (OSError, IndexError, ValueError):  # it ended meanwhile, or is another user's
            continue
    return found


def end_marked(name: str, value: str, grace: float) -> None:
    """End these processes: SIGTERM to those that no other of them has started, after the grace SIGKILL to all left."""
    try:
        there = marked(name, value) if grace else {}
        for pid in [pid for pid, parent in there.items() if parent not in there]:
            send(pid, signal.SIGTERM)
        end = time.monotonic() + grace
        while there and time.monotonic() < end:
            time.sleep(0.1)
            there = marked(name, value)
    finally:  # at Ctrl-C, too
        end = time.monotonic() + KILLED_SECONDS
        while (there := marked(name, value)) and time.monotonic() < end:
            for pid in there:
                send(pid, signal.SIGKILL)
            time.sleep(0.05)


def send(pid: int, number: int) -> None:
    """A signal to a process that may be gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
