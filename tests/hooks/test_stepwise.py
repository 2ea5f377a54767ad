"""Stepwise lambda: it follows the learning rate, whatever schedule moves that."""

import uuid
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import CosineAnnealingLR, LinearLR, MultiStepLR, OneCycleLR, OptimWrapper
from torch import nn

from sssd.hooks import LambdaScheduleHook

TOTAL, FREEZE = 36, 4
WARM_UP = (LinearLR, dict(start_factor=0.001, begin=0, end=6))
SCHEDULES = dict(
    multi_step=[WARM_UP, (MultiStepLR, dict(milestones=[24, 32], gamma=0.1, begin=0, end=TOTAL))],
    earlier=[WARM_UP, (MultiStepLR, dict(milestones=[12, 32], gamma=0.1, begin=0, end=TOTAL))],
    cosine=[WARM_UP, (CosineAnnealingLR, dict(T_max=TOTAL - 6, begin=6, end=TOTAL))],
    one_cycle=[(OneCycleLR, dict(eta_max=0.1, total_steps=TOTAL, pct_start=0.3))],
)


class Model(nn.Module):
    """Something with the attributes that the hook sets."""

    lambda_ = student_grad = None


def fake_runner(schedule):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.02)
    schedulers = [kind(optimizer, by_epoch=False, **options) for kind, options in SCHEDULES[schedule]]
    return SimpleNamespace(
        model=Model(),
        optim_wrapper=OptimWrapper(optimizer),
        iter=0,
        max_iters=TOTAL,
        schedulers=schedulers,
        message_hub=MessageHub.get_instance(uuid.uuid4().hex),
    )


def resumed(old, schedule):
    """A new runner with what a checkpoint holds of the old one."""
    new = fake_runner(schedule)
    new.optim_wrapper.load_state_dict(old.optim_wrapper.state_dict())
    for mine, theirs in zip(new.schedulers, old.schedulers):
        mine.load_state_dict(theirs.state_dict())
    new.message_hub.load_state_dict(old.message_hub.state_dict())
    return new


def values(schedule, threshold=0.5, resume_at=None):
    """Learning rate, lambda and student_grad of every iteration."""
    step = dict(type='StepAtDecay', start=75.0, end=100.0, threshold=threshold)
    hook = LambdaScheduleHook(
        lambda_=dict(type='Ramp', after=step, begin=FREEZE), student_grad=dict(type='Ramp', after=1.0, begin=8)
    )
    runner, found = fake_runner(schedule), []
    for iteration in range(TOTAL):
        if iteration == resume_at:
            runner = resumed(runner, schedule)
        runner.iter = iteration
        hook.before_train_iter(runner, iteration)
        found.append((runner.optim_wrapper.get_lr()['lr'][0], runner.model.lambda_, runner.model.student_grad))
        runner.optim_wrapper.optimizer.step()
        for scheduler in runner.schedulers:
            scheduler.step()
    return found


def switches(found):
    return {lam: [lam_ for _, lam_, _ in found].index(lam) for lam in (0.0, 75.0, 100.0)}


@pytest.mark.parametrize('schedule, decay', [('multi_step', 24), ('earlier', 12)])
def test_multi_step_switches_at_the_first_milestone_wherever_it_is(schedule, decay):
    found = values(schedule)
    assert found[0][0] < 0.01 * found[7][0], 'there is a warm-up to be taken for decay'
    assert [lam for _, lam, _ in found] == [0.0] * FREEZE + [75.0] * (decay - FREEZE) + [100.0] * (TOTAL - decay)
    assert [grad for _, _, grad in found] == [0.0] * 8 + [1.0] * (TOTAL - 8)


@pytest.mark.parametrize('schedule', ['cosine', 'one_cycle'])
@pytest.mark.parametrize('threshold', [0.25, 0.5, 0.9])
def test_smooth_schedules_switch_where_the_rate_falls_to_the_threshold(schedule, threshold):
    found = values(schedule, threshold)
    rates = [rate for rate, _, _ in found]
    top = rates.index(max(rates))
    assert top > FREEZE and min(rates[:top]) < 0.2 * max(rates)
    expected = next(i for i in range(top, TOTAL) if rates[i] / max(rates) <= threshold + 1e-6)
    assert switches(found) == {0.0: 0, 75.0: FREEZE, 100.0: expected}
    assert all(lam == 100.0 for _, lam, _ in found[expected:])


@pytest.mark.parametrize('schedule', sorted(SCHEDULES))
@pytest.mark.parametrize('at', [1, FREEZE, 7, 20, 24, 25, 33])
def test_a_resume_changes_nothing(schedule, at):
    assert values(schedule, resume_at=at) == values(schedule)
