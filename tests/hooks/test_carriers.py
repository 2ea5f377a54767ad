"""The hooks that set lambda and s."""

import uuid
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper
from torch import nn

from sssd.errors import UserError
from sssd.hooks import LambdaScheduleHook, ScaleDrawHook
from sssd.hooks.scale_draw import draw


class Model(nn.Module):
    """Something with the attributes that the hooks set."""

    lambda_s = lambda_d = shift = None


def fake_runner(seed=5):
    wrapper = OptimWrapper(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1))
    return SimpleNamespace(
        model=Model(),
        optim_wrapper=wrapper,
        iter=0,
        max_iters=10,
        seed=seed,
        message_hub=MessageHub.get_instance(uuid.uuid4().hex),
    )


def test_s_is_a_function_of_seed_and_iteration():
    hook, found = ScaleDrawHook(max_shift=3), {}
    for seed in (0, 1):
        runner = fake_runner(seed)
        hook.before_train(runner)
        for runner.iter in range(40):
            torch.rand(3)
            hook.before_train_iter(runner, runner.iter)
            found[seed, runner.iter] = runner.model.shift
    assert found == {key: draw(*key, 3) for key in found}
    assert [found[0, i] for i in range(40)] != [found[1, i] for i in range(40)]
    assert len({found[0, i] for i in range(40)}) == 3


@pytest.mark.parametrize('max_shift', [1, 2, 4])
def test_s_is_uniform_over_1_to_max_shift(max_shift):
    counts = Counter(draw(7, i, max_shift) for i in range(2000))
    assert set(counts) == set(range(1, max_shift + 1))
    assert all(abs(count / 2000 - 1 / max_shift) < 0.05 for count in counts.values())


@pytest.mark.parametrize('value', [-1.0, float('nan'), 'auto', None, True])
def test_a_weight_below_0_or_of_no_number_is_refused(value):
    runner, hook = fake_runner(), LambdaScheduleHook(lambda_s=2.0)
    hook.before_train_iter(runner, 0)
    assert runner.model.lambda_s == 2.0
    hook.schedules['lambda_s'] = lambda progress: value
    with pytest.raises(UserError, match=f'iteration 0: lambda_s is {value!r}, but a weight is a number from 0 on'):
        hook.before_train_iter(runner, 0)
    assert runner.model.lambda_s == 2.0


def test_s_of_zero_is_refused():
    with pytest.raises(UserError, match='max_shift is 0.*lambda_s=0'):
        ScaleDrawHook(max_shift=0)


def test_lambdas_follow_their_schedules_after_the_burn_in():
    ramp = dict(type='Ramp', after=2.0, begin=4, length=4)
    hook, runner, found = LambdaScheduleHook(burn_in=3, lambda_s=1.5, lambda_d=ramp), fake_runner(), []
    hook.before_train(runner)
    for runner.iter in range(10):
        hook.before_train_iter(runner, runner.iter)
        found.append((runner.model.lambda_s, runner.model.lambda_d))
        hook.after_train_iter(runner, runner.iter)
        assert runner.message_hub.get_scalar('train/lambda_s').current() == found[-1][0]
    assert found == [(0, 0)] * 3 + [(1.5, 0), (1.5, 0), (1.5, 0.5), (1.5, 1), (1.5, 1.5), (1.5, 2), (1.5, 2)]


def test_a_weight_that_the_model_has_not_is_named():
    with pytest.raises(UserError, match="Model has no weight 'lambda_x'"):
        LambdaScheduleHook(lambda_x=1.0).before_train(fake_runner())
