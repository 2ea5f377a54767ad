"""One training at a time in a work directory: refused by name, free when it has ended, however it did."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sssd import locks
from sssd.errors import UserError
from sssd.locks import Holder, training_in, training_lock

#: Holds the folder that it is told, and forks a process that outlives it.
HOLD = """
import os, sys, time
from pathlib import Path
sys.modules['sssd'] = type(sys)('sssd')
sys.modules['sssd'].__path__ = [sys.argv[1]]
from sssd.locks import training_lock
with training_lock(sys.argv[2]):
    if os.fork() == 0:
        os.close(1)
        time.sleep(30)
        os._exit(0)
    print('held', flush=True)
    time.sleep(30)
"""


@pytest.fixture
def training(tmp_path, repo_root):
    """A process that holds the folder ``run``, with one that it has forked."""
    words = [sys.executable, '-c', HOLD, str(repo_root / 'sssd'), str(tmp_path / 'run')]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout.readline() == 'held\n'
    yield process
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_second_training_is_refused_by_name(training, tmp_path, monkeypatch):
    monkeypatch.setattr(locks, 'PATIENCE', 2.0)
    said = []
    with pytest.raises(UserError) as caught, training_lock(tmp_path / 'run', said.append):
        pass
    assert str(caught.value).startswith(f'process {training.pid} trains in {tmp_path}/run, and two trainings in one')
    assert f'end it with `kill {training.pid}`, or give another folder' in str(caught.value)
    assert len(said) == 1 and 'waiting for it for 2 seconds' in said[0]


def test_a_killed_training_leaves_no_lock_though_its_workers_go_on(training, tmp_path):
    assert training_in(tmp_path / 'run').pid == training.pid
    training.send_signal(signal.SIGKILL)
    training.wait()
    end = time.monotonic() + 5
    while training_in(tmp_path / 'run') is not None and time.monotonic() < end:
        time.sleep(0.05)
    assert training_in(tmp_path / 'run') is None
    with training_lock(tmp_path / 'run'):
        assert training_in(tmp_path / 'run').pid == os.getpid()
    assert sorted(os.listdir(tmp_path / 'run')) == [locks.LOCK]


def test_to_ask_makes_no_file(tmp_path):
    assert training_in(tmp_path) is None and not list(tmp_path.iterdir())


def test_a_disk_without_locks_has_none(tmp_path, monkeypatch):
    def flock(handle, operation):
        raise OSError(errno.ENOSYS, 'Function not implemented')

    monkeypatch.setattr(fcntl, 'flock', flock)
    with training_lock(tmp_path / 'run'), training_lock(tmp_path / 'run'):
        assert training_in(tmp_path / 'run') is None
    assert not (Path(tmp_path) / 'run' / locks.HOLDER).exists()


@pytest.mark.parametrize(
    'holder, named, remedy',
    [
        (Holder(), 'another process', 'end it'),
        (Holder(7, 'far'), 'process 7 on far', 'end it with `kill 7` on far'),
        (Holder(7, 'far', '88'), 'process 7 on far (job 88 of Slurm)', 'end it with `scancel 88`'),
    ],
)
def test_who_trains_is_told_with_how_to_end_it(holder, named, remedy):
    assert str(holder) == named and holder.remedy == remedy
