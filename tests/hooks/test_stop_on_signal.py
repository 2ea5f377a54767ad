"""Signals while training: what is forked meanwhile ends by SIGTERM, however early it comes, and no gradient is lost."""

import os
import signal
import time

import pytest
import tiny
import torch
from mmengine.hooks import CheckpointHook, Hook

from sssd.hooks import EMATeacherHook, LambdaScheduleHook, StopOnSignalHook
from sssd.hooks.stop_on_signal import Stopped


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


def test_gathered_gradients_are_not_left_behind(tmp_path):
    """A signal within four iterations of one optimizer step: the step comes first."""

    class Signal(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.iter == 4:
                os.kill(os.getpid(), signal.SIGTERM)

    def train(name, *hooks, **more):
        runner = tiny.make_runner(
            tiny.sed_config(tiny.retinanet()),
            [tiny.make_batch(seed=seed) for seed in range(12)],
            tmp_path / name,
            12,
            hooks=[LambdaScheduleHook(lambda_s=1.0, lambda_d=1.0), EMATeacherHook(alpha=0.5), *hooks],
            accumulate=4,
            default_hooks=dict(checkpoint=CheckpointHook(by_epoch=False, interval=100)),
            **more,
        )
        runner.train()
        return runner.model.state_dict()

    with pytest.raises(Stopped):
        train('cut', Signal(), StopOnSignalHook())
    assert [path.name for path in (tmp_path / 'cut').glob('*.pth')] == ['iter_8.pth']
    found = train('on', load_from=str(tmp_path / 'cut/iter_8.pth'), resume=True)
    assert all(torch.equal(value, found[name]) for name, value in train('whole').items())
