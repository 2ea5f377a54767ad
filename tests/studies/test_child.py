"""A process of a study is watched, ended with its workers, and its last error is told."""

import os
import signal
import subprocess
import sys
import time

import pytest
from study_runs import ends

from sssd.errors import UserError
from sssd.studies.child import Child, last_error
from sssd.studies.slots import launched

TRACEBACK = """\
2026/01/01 10:00:00 - mmengine - INFO - Iter(train) [ 20/200]  loss: 1.2345
Traceback (most recent call last):
  File "train.py", line 3, in <module>
    raise RuntimeError('first')
RuntimeError: first

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "train.py", line 5, in <module>
torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB.
See the documentation.
/usr/lib/python3/resource_tracker.py:254: UserWarning: There appear to be 5 leaked semaphore objects
  warnings.warn('resource_tracker: There appear to be %d '
"""


@pytest.mark.parametrize(
    'text, told',
    [
        (TRACEBACK, 'torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB'),
        ('sssd: error: config a.py does not exist: check the path.\n', 'config a.py does not exist: check the path'),
        ('usage: x\npython -m sssd train: error: no argument --x\n', 'python -m sssd train: error: no argument --x'),
        ('loading\nSegmentation fault\n\n', 'Segmentation fault'),
        ('AssertionError\n', 'AssertionError'),
        ('', ''),
        ('KeyError: ' + 'x' * 500, 'KeyError: ' + 'x' * 290 + ' ...'),
    ],
)
def test_the_last_error_is_found_among_what_else_was_printed(tmp_path, text, told):
    (tmp_path / 'log').write_text(text)
    assert last_error(tmp_path / 'log') == told


def run(code, log):
    with Child([sys.executable, '-c', code], log, {'STUDY_WORD': 'hello'}) as child:
        while child.running():
            pass
    child.check('the run few, seed 0')


def test_a_process_that_ends_well_is_no_error_and_has_its_environment(tmp_path):
    log = tmp_path / 'log'
    log.write_text('RuntimeError: of an earlier attempt\n')
    run('import os; print(os.environ["STUDY_WORD"])', log)
    assert log.read_text().endswith('hello\n')


def test_errors_of_earlier_attempts_are_not_told(tmp_path):
    log = tmp_path / 'log'
    log.write_text('RuntimeError: of an earlier attempt\n')
    with pytest.raises(UserError) as caught:
        run('import sys; sys.exit("no data")', log)
    assert str(caught.value).startswith(
        f'the run few, seed 0 failed with exit status 1 (no data): see the end of {log},'
    )


def test_a_killed_process_is_told_by_its_signal(tmp_path):
    with pytest.raises(UserError, match='the run few, seed 0 was ended by signal 9, Killed, as where memory runs out'):
        run('import os; os.kill(os.getpid(), 9)', tmp_path / 'log')


def test_a_launcher_s_own_words_are_not_its_workers_error(tmp_path):
    text = (
        'sssd: error: the image is broken.\ntorch.distributed.elastic.multiprocessing.errors.ChildFailedError:\n===\n'
    )
    (tmp_path / 'log').write_text(text)
    assert last_error(tmp_path / 'log') == 'the image is broken'


#: Starts a process in a session of its own, tells both pids, and does what is said.
LAUNCHER = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
worker = subprocess.Popen(['sleep', '60'], start_new_session=True)
print(os.getpid(), worker.pid, flush=True)
{then}
time.sleep(60)
"""


def pids_in(log):
    """The pids that a log begins with, as soon as they are there."""
    for _ in range(2400):
        text = log.read_text() if log.is_file() else ''
        if text.endswith('\n'):
            return [int(word) for word in text.split()]
        time.sleep(0.05)
    raise AssertionError('nothing was started')


def test_workers_of_a_launcher_that_is_killed_are_ended(tmp_path):
    with Child(
        [sys.executable, '-c', LAUNCHER.format(then='os.kill(os.getpid(), 9)')], tmp_path / 'log', {}, 1.0
    ) as child:
        while child.running():
            pass
    assert child.returncode == -9 and ends(pids_in(tmp_path / 'log')[1])


def test_what_takes_no_notice_is_killed_with_its_workers(tmp_path):
    with Child([sys.executable, '-c', LAUNCHER.format(then='')], tmp_path / 'log', {}, grace=0.5):
        pids = pids_in(tmp_path / 'log')
    assert all(ends(pid) for pid in pids)


def test_a_second_ctrl_c_leaves_nothing_behind(tmp_path):
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            with Child([sys.executable, '-c', LAUNCHER.format(then='')], tmp_path / 'log', {}, grace=60.0):
                pids = pids_in(tmp_path / 'log')
                signal.setitimer(signal.ITIMER_REAL, 0.5)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert all(ends(pid) for pid in pids)


#: A study that is killed: it starts a command and waits.
PARENT = """
import sys
from pathlib import Path
sys.modules['sssd'] = type(sys)('sssd')
sys.modules['sssd'].__path__ = [sys.argv[1]]
from sssd.studies.child import Child
with Child([sys.executable, '-c', sys.argv[3]], Path(sys.argv[2]), {}) as child:
    while child.running():
        pass
"""
SAVES = """
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: (print('saved', flush=True), os._exit(143)))
print(os.getpid(), flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='only Linux tells a process of the death of its parent')
def test_a_command_is_told_to_end_when_the_study_is_killed(tmp_path, repo_root):
    log = tmp_path / 'log'
    parent = subprocess.Popen([sys.executable, '-c', PARENT, str(repo_root / 'sssd'), str(log), SAVES])
    (pid,) = pids_in(log)
    parent.kill()
    parent.wait()
    assert ends(pid) and log.read_text().endswith('saved\n')


#: Two processes of gloo that go on whatever they are told.
WORKER = """
import os, signal, sys, time
import torch
import torch.distributed as dist
signal.signal(signal.SIGTERM, lambda *_: print('told', flush=True))
dist.init_process_group('gloo')
number = torch.ones(1)
dist.all_reduce(number)
with open(f'{sys.argv[1]}.{dist.get_rank()}', 'w') as file:
    file.write(f'{os.getpid()} {os.getppid()}\\n')
while True:
    time.sleep(0.1)
"""


@pytest.mark.slow
@pytest.mark.parametrize('killed', [False, True], ids=['ended', 'launcher killed'])
def test_both_workers_of_torchrun_are_ended(tmp_path, killed):
    (tmp_path / 'worker.py').write_text(WORKER)
    words = launched([sys.executable, str(tmp_path / 'worker.py'), str(tmp_path / 'pid')], 2)
    files = [tmp_path / f'pid.{rank}' for rank in range(2)]
    with Child(words, tmp_path / 'log', {'CUDA_VISIBLE_DEVICES': '-1'}, grace=3.0) as child:
        while not all(file.is_file() and file.read_text().endswith('\n') for file in files):
            assert child.running(), (tmp_path / 'log').read_text()
        pids = {int(pid) for file in files for pid in file.read_text().split()}
        assert len(pids) == 3, 'two workers and their launcher'
        if killed:
            os.kill(int(files[0].read_text().split()[1]), signal.SIGKILL)
            while child.running():
                pass
    assert all(ends(pid) for pid in pids)
    assert (tmp_path / 'log').read_text().count('told') == 2, 'each was asked once; lines may mix'
