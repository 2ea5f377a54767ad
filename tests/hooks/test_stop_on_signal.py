"""What is forked while a training has the signals ends by SIGTERM, however early it comes."""

import os
import signal
import time

import pytest

from sssd.hooks import StopOnSignalHook


@pytest.fixture
def taken():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    hook = StopOnSignalHook()
    hook.before_run(None)
    yield hook
    hook.after_run(None)
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def forked():
    child = os.fork()
    if child == 0:
        time.sleep(20)
        os._exit(0)
    return child


def test_no_signal_to_a_new_process_is_lost(taken):
    for _ in range(100):
        child = forked()
        os.kill(child, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
    assert not taken.signal and not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & {signal.SIGTERM, signal.SIGINT}


def test_sigint_is_left_to_the_parent_which_notes_its_own(taken):
    child = forked()
    os.kill(child, signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
    assert taken.signal == signal.SIGTERM and os.waitpid(child, os.WNOHANG) == (0, 0)
    os.kill(child, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
