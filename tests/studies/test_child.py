"""What is told of a process of a study that failed."""

import pytest

from sssd.studies.child import failure, last_words, size_of

REFUSED = 'warning: x\nsssd: error: config a.py does not exist: check the path.\n'
RAISED = 'Traceback (most recent call last):\n  File "a.py", line 1\ntorch.cuda.OutOfMemoryError: CUDA out of memory.\n'


@pytest.mark.parametrize(
    'text, words',
    [
        (REFUSED, 'config a.py does not exist: check the path.'),
        (RAISED, 'torch.cuda.OutOfMemoryError: CUDA out of memory.'),
        (RAISED + REFUSED, 'config a.py does not exist: check the path.'),
        ("ValueError: first\n\nThe above exception\n\nKeyError: 'last'\nbye\n", "KeyError: 'last'"),
        ('Killed\nNotAnErrorAtAll: x\nerror: y\n', None),
        ('', None),
    ],
)
def test_the_last_words_are_the_sentence_or_the_end_of_a_traceback(tmp_path, text, words):
    (tmp_path / 'log').write_text(text)
    assert last_words(tmp_path / 'log') == words


def test_the_words_of_an_earlier_process_and_of_long_ago_do_not_count(tmp_path):
    log = tmp_path / 'log'
    assert size_of(log) == 0
    log.write_text(REFUSED)
    begin = size_of(log)
    log.write_text(REFUSED + 'Killed\n')
    assert last_words(log, begin) is None
    assert failure('the run x', -9, log, begin).startswith(
        f'the run x failed with exit status -9: see the end of {log}'
    )
    log.write_text(REFUSED + 'iteration\n' * 10000)
    assert last_words(log) is None
