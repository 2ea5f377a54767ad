"""A guided run that is interrupted and resumed ends where one in one go does."""

import guided
import pytest
import tiny
import torch
from mmengine.hooks import Hook

ITERATIONS = 4


class PowerCut(Exception):
    """What ends a run in the middle."""


class Interrupt(Hook):
    """Cuts the power after an iteration, once its checkpoint is written; keeps what the other hooks set."""

    priority = 'LOWEST'

    def __init__(self, after=None):
        self.after, self.seen = after, []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        model = runner.model
        self.seen.append((model.lambda_, model.student_grad, model.detector.backbone.training))
        if runner.iter + 1 == self.after:
            raise PowerCut


def run(work_dir, stop=None, resume=False):
    """Frozen for one iteration, the student detached for two, the rate falls after three."""
    watch = Interrupt(stop)
    lambda_ = dict(type='Ramp', begin=1, after=dict(type='StepAtDecay', start=75.0, end=100.0))
    hooks = [
        dict(type='sssd.LambdaScheduleHook', lambda_=lambda_, student_grad=dict(type='Ramp', begin=2, after=1.0)),
        dict(type='sssd.FreezeBackboneHook', until=1),
        watch,
    ]
    torch.manual_seed(0)
    runner = tiny.make_runner(
        guided.config(tiny.retinanet()),
        [guided.batch((*tiny.BOXES, ()), seed=index) for index in range(ITERATIONS)],
        work_dir,
        ITERATIONS,
        hooks=hooks,
        resume=resume,
        lr=0.01,
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=2),
            dict(type='MultiStepLR', by_epoch=False, milestones=[3], gamma=0.1),
        ],
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1, save_last=False)),
    )
    if stop:
        with pytest.raises(PowerCut):
            runner.train()
    else:
        runner.train()
    return tiny.state_of(runner.model), watch.seen


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    return run(tmp_path_factory.mktemp('whole'))


def test_what_the_hooks_set(whole):
    assert whole[1] == [(0.0, 0.0, False), (75.0, 0.0, True), (75.0, 1.0, True), (100.0, 1.0, True)]


@pytest.mark.parametrize('stop', [1, 2, 3])
def test_interrupted_and_resumed(stop, whole, tmp_path):
    """Stopped right after the freeze, right before the student is attached, and right at the fall of the rate."""
    half, before = run(tmp_path, stop=stop)
    resumed, after = run(tmp_path, resume=True)
    assert before + after == whole[1] and len(before) == stop
    assert any(not torch.equal(half[name], value) for name, value in whole[0].items())
    for name, value in whole[0].items():
        torch.testing.assert_close(resumed[name], value, rtol=0, atol=1e-7, msg=name)
