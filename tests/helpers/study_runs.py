"""What the tests of studies with several runs at once share."""

import os
import signal
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from sssd.studies.results import ResultsFile

TIMES = ('started', 'seconds', 'commit', 'dirty')


def entries():
    return [{key: entry[key] for key in entry if key not in TIMES} for entry in ResultsFile('results.json').entries()]


@contextmanager
def interrupt_when(condition):
    """Press Ctrl-C once it holds; also where the tests run in the background of a shell, which has it ignored."""

    def wait():
        while not condition():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)


def ends(pid, seconds=5):
    """Whether a process ends within so many seconds; an orphan may stay a zombie until it is reaped."""
    for _ in range(20 * seconds):
        try:
            if Path(f'/proc/{pid}/stat').read_text().split()[2] == 'Z':
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False
