"""A training that is interrupted and gone on with ends bit by bit where one in one go does, whatever chance decides."""

import os
import random
import shutil
import signal

import numpy as np
import pytest
import random_runs
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from sssd.checkpoints import gathered, random_states
from sssd.cli import train


@pytest.fixture(scope='module', autouse=True)
def _quick():
    """What a Runner does for its log, half of the time of these trainings, is left out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Config, 'pretty_text', '')
        patch.setattr('mmengine.runner.runner.collect_env', dict)
        yield


class PowerCut(Exception):
    """What ends a run in the middle."""


@HOOKS.register_module(force=True)
class Interrupt(Hook):
    """Ends the run, or sends it a signal, in an iteration."""

    def __init__(self, at, number=0):
        self.at, self.number = at, number

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.at:
            if not self.number:
                raise PowerCut
            os.kill(os.getpid(), self.number)


@HOOKS.register_module(force=True)
class DrawsBetween(Hook):
    """Draws from every library before the step is seeded, and moves a weight by what it drew."""

    priority = 'HIGHEST'

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        drawn = random.random() + np.random.rand() + float(torch.rand(1))
        next(runner.model.parameters()).data.add_(1e-3 * drawn)


def run(job, *words, cut=None, number=0):
    """Train, cut in an iteration if wanted; the last checkpoint's weights and optimizer."""
    config = job.config
    if cut is not None:
        config = job.config.with_name('cut.py')
        hook = f"dict(type='Interrupt', at={cut}, number={int(number)})"
        config.write_text(
            job.config.read_text() + f"\ncustom_hooks = list(globals().get('custom_hooks', [])) + [{hook}]\n"
        )
    return train.main([str(config), '--work-dir', str(job.work_dir), *words])


def weights(job, name='iter_6.pth'):
    saved = torch.load(job.work_dir / name, weights_only=False)
    return {**saved['state_dict'], 'seed': torch.tensor(saved['meta']['seed'])}, saved['optimizer']['state']


def hub_of(job, name):
    """What the message hub had in a checkpoint."""
    return torch.load(job.work_dir / name, weights_only=False)['message_hub']['runtime_info']


def assert_equal(first, second):
    assert first[0].keys() == second[0].keys()
    different = [name for name, value in first[0].items() if not torch.equal(value, second[0][name])]
    assert different == []
    for number, state in first[1].items():
        assert torch.equal(state['momentum_buffer'], second[1][number]['momentum_buffer'])


@pytest.mark.parametrize(
    'name, workers', [('sed', 0), ('sed', 2), ('sssd', 2), ('both', 0), ('faster_rcnn', 2), ('faster_rcnn_sed', 0)]
)
def test_a_resumed_run_ends_where_one_in_one_go_does(make_job, name, workers):
    whole = make_job('whole', extra=random_runs.extra(name, workers))
    assert run(whole) == 0
    seed = int(weights(whole)[0]['seed'])
    parts = make_job('parts', extra=random_runs.extra(name, workers, seed))
    with pytest.raises(PowerCut):
        run(parts, cut=3)
    # A run without a seed in its config takes that of its checkpoint.
    parts.config.write_text(
        parts.config.read_text().replace(f'randomness = dict(seed={seed})', 'randomness = dict(seed=None)')
    )
    assert run(parts, '--resume') == 0
    assert_equal(weights(whole), weights(parts))


def test_what_is_drawn_between_two_steps_goes_on_as_well(make_job, monkeypatch, tmp_path):
    hook = "\ncustom_hooks = custom_hooks + [dict(type='DrawsBetween')]\n"
    whole, parts = (make_job(name, extra=random_runs.extra('sssd', 2, seed=5) + hook) for name in ('whole', 'parts'))
    assert run(whole) == 0
    with pytest.raises(PowerCut):
        run(parts, cut=3)
    shutil.copytree(parts.work_dir, tmp_path / 'before')
    assert run(parts, '--resume') == 0
    assert_equal(weights(whole), weights(parts))
    shutil.rmtree(parts.work_dir)
    (tmp_path / 'before').rename(parts.work_dir)
    monkeypatch.setattr(random_states, 'set_states', lambda found: None)  # the comparison can fail
    assert run(parts, '--resume') == 0
    with pytest.raises(AssertionError):
        assert_equal(weights(whole), weights(parts))


def test_gradients_that_wait_for_their_step_are_in_the_checkpoint(make_job, monkeypatch):
    """Three iterations a step, a checkpoint after each second one."""
    three = "\noptim_wrapper['accumulative_counts'] = 3\n"
    whole, parts, lost = (
        make_job(name, extra=random_runs.extra('both', 0, seed=5) + three) for name in ('whole', 'parts', 'lost')
    )
    assert run(whole) == 0
    for job in (parts, lost):
        with pytest.raises(PowerCut):
            run(job, cut=5)
    assert hub_of(parts, 'iter_2.pth')[gathered.GATHERED]['counts'] == 3
    assert run(parts, '--resume') == 0
    assert_equal(weights(whole), weights(parts))
    assert 'No gradient is lost after all' in sorted(parts.work_dir.glob('*/*.log'))[-1].read_text()
    assert hub_of(parts, 'iter_6.pth')[gathered.GATHERED] is None
    lost.config.write_text(lost.config.read_text().replace("counts'] = 3", "counts'] = 2"))
    assert run(lost, '--resume') == 0
    assert 'are left out' in sorted(lost.work_dir.glob('*/*.log'))[-1].read_text()


def test_the_number_of_workers_does_not_matter(make_job):
    ends = []
    for workers in (0, 2):
        job = make_job(f'workers{workers}', extra=random_runs.extra('sed', workers, seed=5))
        assert run(job) == 0
        ends.append(weights(job))
    assert_equal(*ends)


def test_another_seed_ends_elsewhere(make_job):
    """The comparison above can fail: chance does decide."""
    ends = []
    for seed in (5, 6):
        job = make_job(f'seed{seed}', extra=random_runs.extra('sed', 0, seed))
        assert run(job) == 0
        ends.append(weights(job)[0])
    assert any(not torch.equal(value, ends[1][name]) for name, value in ends[0].items())


@pytest.mark.parametrize('number, status', [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_training_after_the_step_with_a_checkpoint(make_job, capsys, number, status):
    job = make_job('stopped', extra=random_runs.extra('sed', 2, seed=5))
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as stop:
        run(job, cut=2, number=number)
    assert stop.value.code == status
    assert signal.getsignal(number) is before
    assert (job.work_dir / 'iter_3.pth').is_file() and not (job.work_dir / 'iter_4.pth').exists()
    log = next(job.work_dir.glob('*/*.log')).read_text()
    assert f'{number.name}: training stops; the state after iteration 3 is in iter_3.pth' in log
    assert run(job, '--resume') == 0
    whole = make_job('whole', extra=random_runs.extra('sed', 0, seed=5))
    assert run(whole) == 0
    assert_equal(weights(whole), weights(job))


def test_a_changed_schedule_is_told_and_taken_by_an_option(make_job):
    text = random_runs.extra('sssd', 0, seed=5)
    schedule = "param_scheduler = [dict(type='MultiStepLR', milestones=[{}], gamma=0.1, by_epoch=False)]\n"
    rates, logs = {}, {}
    for name, words in (('old', []), ('new', ['--new-schedule'])):
        job = make_job(name, extra=text + schedule.format(2))
        with pytest.raises(PowerCut):
            run(job, cut=4)
        job.config.write_text(job.config.read_text().replace('milestones=[2]', 'milestones=[5]'))
        assert run(job, '--resume', *words) == 0
        logs[name] = sorted(job.work_dir.glob('*/*.log'))[-1].read_text()
        rates[name] = torch.load(job.last_checkpoint, weights_only=False)['optimizer']['param_groups'][0]['lr']
    assert 'milestones of scheduler 0: 2 -> 5' in logs['old'] and '--new-schedule' in logs['old']
    assert "The config's schedule is taken (milestones of scheduler 0: 2 -> 5)" in logs['new']
    assert rates == dict(old=pytest.approx(0.001), new=pytest.approx(0.001))
    fresh = make_job('fresh', extra=text + schedule.format(9))
    with pytest.raises(PowerCut):
        run(fresh, cut=4)
    fresh.config.write_text(fresh.config.read_text().replace('milestones=[9]', 'milestones=[3]'))
    assert run(fresh, '--resume', '--new-schedule') == 0
    assert torch.load(fresh.last_checkpoint, weights_only=False)['optimizer']['param_groups'][0]['lr'] == pytest.approx(
        0.001
    )
