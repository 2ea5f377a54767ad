"""Schedules, also under MMEngine's own learning-rate schedulers and across a resume."""

import math
import uuid
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import CosineAnnealingLR, LinearLR, MultiStepLR, OneCycleLR, OptimWrapper

from sssd.errors import UserError
from sssd.hooks.progress import progress_of
from sssd.schedules import Constant, Cosine, Progress, Ramp, StepAtDecay, build_schedule

TOTAL = 60


def fake_runner(schedulers, groups=1, lr=0.1):
    """What `progress_of` looks at, around a real optimiser wrapper and real schedulers."""
    params = [dict(params=[torch.nn.Parameter(torch.zeros(1))], lr=lr / (1 + i)) for i in range(groups)]
    wrapper = OptimWrapper(torch.optim.SGD(params, lr=lr, momentum=0.9))
    return SimpleNamespace(
        optim_wrapper=wrapper,
        message_hub=MessageHub.get_instance(uuid.uuid4().hex),
        iter=0,
        max_iters=TOTAL,
        schedulers=[make(wrapper) for make in schedulers],
    )


def values(runner, schedule, until=TOTAL):
    """The schedule's value at every iteration from the runner's present one on."""
    found = []
    while runner.iter < until:
        found.append(schedule(progress_of(runner)))
        runner.optim_wrapper.step()
        for scheduler in runner.schedulers:
            scheduler.step()
        runner.iter += 1
    return found


def warm_up(wrapper):
    return LinearLR(wrapper, start_factor=0.01, by_epoch=False, begin=0, end=10)


def multi_step(wrapper):
    return MultiStepLR(wrapper, milestones=[40, 50], gamma=0.1, by_epoch=False)


def cosine(wrapper):
    return CosineAnnealingLR(wrapper, T_max=TOTAL - 10, begin=10, end=TOTAL, by_epoch=False)


def one_cycle(wrapper):
    return OneCycleLR(wrapper, eta_max=0.1, total_steps=TOTAL + 1, pct_start=0.3, by_epoch=False)


STEP = StepAtDecay(start=0.99, end=0.9)


@pytest.mark.parametrize('groups', [1, 2])
@pytest.mark.parametrize('schedulers', [[multi_step], [warm_up, multi_step]])
def test_step_switches_once_at_the_first_milestone_and_not_in_warm_up(schedulers, groups):
    assert values(fake_runner(schedulers, groups), STEP) == [0.99] * 40 + [0.9] * 20


def test_step_switches_where_the_rate_is_halved():
    fall = partial(MultiStepLR, milestones=[40], gamma=0.5, by_epoch=False)
    assert values(fake_runner([warm_up, fall], lr=0.3), STEP) == [0.99] * 40 + [0.9] * 20


def test_step_under_a_constant_rate_never_switches():
    assert values(fake_runner([warm_up]), STEP) == [0.99] * TOTAL


def test_step_under_cosine_switches_where_the_rate_passes_the_threshold():
    found = values(fake_runner([warm_up, cosine]), STEP)
    switch = found.index(0.9)
    assert found == [0.99] * switch + [0.9] * (TOTAL - switch)
    assert abs(switch - (10 + (TOTAL - 10) / 2)) <= 2


def test_step_under_one_cycle_switches_once_after_the_peak():
    found = values(fake_runner([one_cycle]), STEP)
    switch = found.index(0.9)
    assert found == [0.99] * switch + [0.9] * (TOTAL - switch)
    assert 0.3 * TOTAL < switch < TOTAL - 5


@pytest.mark.parametrize('stop', [5, 39, 40, 45])
@pytest.mark.parametrize('groups', [1, 2])
def test_a_resumed_run_goes_on_as_one_in_one_go(stop, groups):
    """The checkpoint holds the rates and the message hub; the peak is in the latter."""
    makers = [warm_up, multi_step]
    whole = values(fake_runner(makers, groups), STEP)
    first = fake_runner(makers, groups)
    before = values(first, STEP, until=stop)
    second = fake_runner(makers, groups)
    second.optim_wrapper.load_state_dict(first.optim_wrapper.state_dict())
    for new, old in zip(second.schedulers, first.schedulers):
        new.load_state_dict(old.state_dict())
    second.message_hub.load_state_dict(first.message_hub.state_dict())
    second.iter = first.iter
    assert before + values(second, STEP) == whole


@pytest.mark.parametrize('start, end', [(0.996, 0.9), (0.0, 2.0)])
def test_cosine(start, end):
    schedule = Cosine(start=start, end=end)
    for i in range(0, 101, 10):
        expected = end + 0.5 * (start - end) * (1 + math.cos(math.pi * i / 100))
        assert schedule(Progress(i, 100)) == pytest.approx(expected)
    assert schedule(Progress(0, 100)) == pytest.approx(start)
    assert schedule(Progress(130, 100)) == pytest.approx(end)


def test_ramp_rises_from_zero_to_its_value():
    schedule = Ramp(after=3.0, begin=10, length=4)
    found = [schedule(Progress(i, 100)) for i in (0, 9, 10, 11, 12, 13, 14, 99)]
    assert found == [0, 0, 0, 0.75, 1.5, 2.25, 3, 3]


def test_ramp_without_length_is_a_switch_and_may_end_in_a_schedule():
    schedule = Ramp(after=dict(type='StepAtDecay', start=2.0, end=1.0), begin=5)
    assert [schedule(Progress(i, 100)) for i in (0, 4, 5, 50)] == [0, 0, 2, 2]
    assert schedule(Progress(60, 100, lr=0.01, peak_lr=0.1)) == 1


def test_progress_keeps_its_bounds():
    assert Progress(5, 0).fraction == 1 and Progress(7, 4).fraction == 1
    assert Progress(0, 10, lr=0.0, peak_lr=0.0).lr_ratio == 1


def test_schedules_from_numbers_configs_and_callables():
    assert build_schedule(2)(Progress(0, 1)) == 2.0 and isinstance(build_schedule(2), Constant)
    assert build_schedule(dict(type='Constant', value=4))(Progress(9, 10)) == 4
    assert build_schedule(STEP) is STEP


@pytest.mark.parametrize('value', ['0.9', None, True, [1, 2]])
def test_what_is_no_schedule_is_refused(value):
    with pytest.raises(UserError, match='number or a dict.*Cosine'):
        build_schedule(value)


@pytest.mark.parametrize('threshold', [0, 1.5])
def test_impossible_thresholds(threshold):
    with pytest.raises(UserError, match=f'threshold is {threshold}'):
        StepAtDecay(1, 0, threshold=threshold)
