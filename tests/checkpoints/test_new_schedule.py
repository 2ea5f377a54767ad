"""Another schedule where a run goes on: the run is as if it had had it from its beginning."""

import pytest
import tiny
import torch
from mmengine.hooks import CheckpointHook, Hook
from mmengine.optim import OptimWrapper, ReduceOnPlateauLR

from sssd.checkpoints.schedules import ScheduleHook, differences
from sssd.hooks import EMATeacherHook, LambdaScheduleHook

FALLS = dict(type='MultiStepLR', milestones=[3], gamma=0.1, by_epoch=False)
STAYS = dict(FALLS, milestones=[100])


class Log(Hook):
    """Learning rate, alpha and lambda_d of every iteration."""

    priority = 'LOW'

    def __init__(self):
        self.rows = {}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        alpha = runner.message_hub.get_scalar('train/alpha').current()
        self.rows[runner.iter] = runner.optim_wrapper.get_lr()['lr'][0], alpha, runner.model.lambda_d


def trained(folder, iterations, lr, schedule, new=False, **options):
    log, steps = Log(), dict(type='StepAtDecay', start=4.0, end=1.0)
    hooks = [ScheduleHook(new), LambdaScheduleHook(lambda_s=1.0, lambda_d=steps), EMATeacherHook(), log]
    data = [tiny.make_batch(seed=seed) for seed in range(iterations)]
    saving = dict(checkpoint=CheckpointHook(by_epoch=False, interval=2))
    runner = tiny.make_runner(
        tiny.sed_config(tiny.retinanet()), data, folder, iterations, hooks, lr=lr, default_hooks=saving,
        param_scheduler=schedule, **options,
    )  # fmt: skip
    runner.train()
    return log.rows


@pytest.mark.parametrize('lr, factors', [(0.01, None), (0.04, None), (0.04, dict(bias_lr_mult=2.0))])
@pytest.mark.parametrize('schedule', [STAYS, FALLS])
def test_another_rate_is_no_fall_of_it(tmp_path, lr, factors, schedule):
    """What steps where the learning rate falls (alpha, weights) does so where the new schedule has it fall."""
    wrapper = dict(precision=dict(paramwise_cfg=factors))
    trained(tmp_path, 2, 0.02, STAYS, **wrapper)
    options = dict(load_from=str(tmp_path / 'iter_2.pth'), resume=True)
    found = trained(tmp_path / 'on', 6, lr, schedule, new=True, **options, **wrapper)
    whole = trained(tmp_path / 'whole', 6, lr, schedule, **wrapper)
    assert list(found) == [2, 3, 4, 5]
    for place, row in found.items():
        assert row == pytest.approx(whole[place])
    assert len(set(found.values())) == (1 if schedule is STAYS else 2)


@pytest.mark.parametrize('new', [False, True])
def test_a_rate_without_a_schedule_is_told_and_taken(tmp_path, monkeypatch, new):
    told = []
    monkeypatch.setattr('sssd.checkpoints.schedules.print_log', lambda text, **options: told.append(text))
    trained(tmp_path, 2, 0.02, None)
    options = dict(load_from=str(tmp_path / 'iter_2.pth'), resume=True)
    found = trained(tmp_path / 'on', 4, 0.01, None, new=new, **options)
    assert [row[0] for row in found.values()] == 2 * [0.01 if new else 0.02]
    assert [row[1] for row in found.values()] == 2 * [0.99]
    (text,) = told
    assert 'learning rate: 0.02 -> 0.01' in text and ('--new-schedule' in text) != new


def test_what_a_plateau_has_seen_is_no_other_schedule():
    def scheduler():
        wrapper = OptimWrapper(torch.optim.SGD([torch.nn.Parameter(torch.zeros(2))], lr=0.1))
        return ReduceOnPlateauLR(wrapper, monitor='AP', rule='greater', patience=1)

    here, saved = scheduler(), scheduler()
    for value in (0.3, 0.2, 0.2, 0.2):
        saved.step(dict(AP=value))
    assert differences([here.state_dict()], [saved.state_dict()]) == []
