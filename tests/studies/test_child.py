"""A process of a study is watched, ended with its workers, and its last error is told."""

import sys

import pytest

from sssd.errors import UserError
from sssd.studies.child import Child, last_error

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
