"""``--logger``: one more place that a training logs to, which changes nothing of it."""

import sys
import types
from pathlib import Path

import pytest
import torch

from sssd.cli import _loggers as loggers
from sssd.errors import LocalError, UserError


def weights(job):
    return torch.load(job.work_dir / 'iter_2.pth', weights_only=False)['state_dict']


@pytest.mark.slow
def test_tensorboard_gets_the_scalars_and_the_training_stays_the_same(make_job, run_python):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    plain, logged = make_job('plain'), make_job('logged')
    for job, words in ((plain, ()), (logged, ('--logger', 'tensorboard'))):
        done = run_python('-m', 'sssd', 'train', job.config, '--work-dir', job.work_dir, *words)
        assert done.returncode == 0, done.stdout + done.stderr
    before, after = weights(plain), weights(logged)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not list(plain.work_dir.rglob('events.out.*'))
    (events,) = logged.work_dir.rglob('events.out.*')
    found = EventAccumulator(str(events))
    found.Reload()
    assert [event.step for event in found.Scalars('loss')] == [1, 2]
    # The config beside the checkpoint does not name the logger: who takes it up logs nowhere.
    assert 'Tensorboard' not in (logged.work_dir / 'tiny.py').read_text()
    words = ('--resume', '--logger', 'tensorboard', '--cfg-options', 'train_cfg.max_iters=4')
    done = run_python('-m', 'sssd', 'train', logged.config, '--work-dir', logged.work_dir, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(logged.work_dir.rglob('events.out.*'))) == 2


def test_a_missing_package_is_told_with_the_command_that_installs_it(monkeypatch):
    loggers.require_logger(None)
    loggers.require_logger('tensorboard')
    monkeypatch.setattr(loggers, 'find_spec', lambda name: None)
    for name in ('wandb', 'mlflow'):
        with pytest.raises(UserError, match=f'--logger {name} needs the package {name}, .*: pip install {name}'):
            loggers.require_logger(name)


def test_a_folder_that_a_logger_leaves_is_not_its_package(tmp_path, monkeypatch):
    (tmp_path / 'left_by_a_logger').mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match='pip install left_by_a_logger'):
        loggers.require_logger('left_by_a_logger')


class FakeRun:
    """What a run of W&B takes."""

    def __init__(self, id):
        self.id, self.told = id, []


@pytest.fixture
def wandb(monkeypatch):
    """A module that stands for wandb, which is not among the packages of the tests."""
    module = types.ModuleType('wandb')
    module.started, module.logged = [], []

    def init(**kwargs):
        module.started.append(kwargs)
        module.run = FakeRun(kwargs.get('id') or 'fresh')

    module.init, module.log = init, lambda scalars, **kwargs: module.logged.append(scalars)
    module.config = types.SimpleNamespace(update=lambda told, **kwargs: None)
    module.join = lambda: None
    monkeypatch.setitem(sys.modules, 'wandb', module)
    for name in ('WANDB_PROJECT', 'WANDB_NAME', 'WANDB_RUN_ID'):
        monkeypatch.delenv(name, raising=False)
    return module


class Warnings:
    """A logger that keeps its warnings."""

    def __init__(self):
        self.said = []

    def warning(self, text):
        self.said.append(text)


@pytest.fixture
def runner(tmp_path):
    """What of a Runner is asked."""
    from mmengine.config import Config

    work_dir = tmp_path / 'seed0' / 'sed'
    work_dir.mkdir(parents=True)
    return types.SimpleNamespace(
        work_dir=str(work_dir),
        log_dir=str(work_dir / 'now'),
        cfg=Config(dict(work_dir=str(work_dir))),
        visualizer=types.SimpleNamespace(_vis_backends={}),
        logger=Warnings(),
    )


def test_a_resumed_training_goes_on_in_its_run(wandb, runner):
    loggers.attach_logger(runner, 'wandb', resume=False)
    assert wandb.started[0] | dict(dir=None) == dict(project='sssd', name='seed0/sed', resume='allow', dir=None)
    loggers.attach_logger(runner, 'wandb', resume=True)
    assert wandb.started[1]['id'] == 'fresh'
    loggers.attach_logger(runner, 'wandb', resume=False)
    assert 'id' not in wandb.started[2]


def test_other_processes_than_the_first_log_nothing(wandb, runner, monkeypatch):
    monkeypatch.setattr(loggers, 'is_main_process', lambda: False)
    loggers.attach_logger(runner, 'wandb', resume=False)
    assert not wandb.started and not runner.visualizer._vis_backends
    assert not Path(runner.work_dir, loggers.NOTE).exists()


def test_what_fails_later_is_told_once_and_the_training_goes_on(wandb, runner, monkeypatch):
    monkeypatch.setattr(loggers, '_told', set())
    loggers.attach_logger(runner, 'wandb', resume=False)
    (backend,) = runner.visualizer._vis_backends.values()
    backend.add_scalars({'loss': 1.0}, step=1)
    assert wandb.logged == [{'loss': 1.0}]

    def refuse(*args, **kwargs):
        raise ConnectionError('no network')

    wandb.log = refuse
    backend.add_scalars({'loss': 1.0}, step=2)
    backend.add_scalars({'loss': 1.0}, step=3)
    (said,) = runner.logger.said
    assert said.startswith('--logger wandb fails (ConnectionError: no network): the training goes on')


def test_a_service_that_refuses_the_run_ends_it_before_it_trains(wandb, runner):
    def refuse(**kwargs):
        raise RuntimeError('api_key not configured (no-tty).\nmore')

    wandb.init = refuse
    with pytest.raises(LocalError, match='--logger wandb: api_key not configured.*wandb login.*WANDB_MODE=offline'):
        loggers.attach_logger(runner, 'wandb', resume=False)
