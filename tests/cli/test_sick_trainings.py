"""Trainings that go wrong, as `sssd train` meets them with the hooks of `_base_`: each is named within one interval."""

import json
import re

import pytest
import random_runs
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, TRANSFORMS

from sssd.checkpoints.loading import read_checkpoint
from sssd.cli import train
from sssd.errors import run_cli

#: Iterations between two looks, as LoggerHook's; how long the trainings are; when the fault comes, if it comes late.
INTERVAL, LENGTH, LATE = 5, 12, 5


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """What a Runner does for its log, half of the time of these trainings, is left out."""
    monkeypatch.setattr(Config, 'pretty_text', '')
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)


@HOOKS.register_module(force=True)
class MakeSick(Hook):
    """Does one thing to the model before an iteration."""

    priority = 'HIGHEST'

    def __init__(self, what, at=LATE):
        self.act, self.at = getattr(self, what), at

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.at or runner.iter > self.at and self.act == self.everything:
            self.act(runner.model)

    def weight(self, model):
        model.student.bbox_head.retina_cls.weight.data.view(-1)[0] = float('nan')

    def unused(self, model):
        model.student.register_parameter('unused', torch.nn.Parameter(torch.full((2,), float('nan'))))

    def gradient(self, model):
        model.student.backbone.conv1.weight.register_hook(lambda grad: grad * float('inf'))

    def everything(self, model):
        model.teacher.bbox_head.retina_cls.weight.data.fill_(0.0)
        model.teacher.bbox_head.retina_cls.bias.data.fill_(30.0)

    def far(self, model):
        for value in model.teacher.parameters():
            value.data.mul_(0.2)


@TRANSFORMS.register_module(force=True)
class MakeNaN:
    """Puts NaN into an image, or into its boxes."""

    def __init__(self, key):
        self.key = key

    def __call__(self, results):
        if self.key == 'img':
            results['img'] = results['img'].astype('float32')
            results['img'][3, 3] = float('nan')
        else:
            results['gt_bboxes'].tensor[0, 0] = float('nan')
        return results


def hook(what, at=LATE):
    return f"custom_hooks = custom_hooks + [dict(type='MakeSick', what={what!r}, at={at})]\n"


def spoilt(key):
    place = "train_dataloader['dataset']['datasets'][0]['pipeline'][-1]['sup']"
    return f"{place}.insert(-1, dict(type='MakeNaN', key={key!r}))\n"


SET_LAMBDA = "custom_hooks[0]['{}'] = {}\n"
SLOW = "optim_wrapper['optimizer']['lr'] = 1e-6\n"  # so that nothing explodes
FLOAT16 = "optim_wrapper.update(type='sssd.Float16OptimWrapper', loss_scale={})\n"
#: To each fault: the training, what is appended, the sign, whether training stops, from which iteration it is there.
SICK = {
    'a weight that is NaN': ('sed', hook('weight'), 'non_finite', True, LATE),
    'a learning rate of 1e6': ('sed', "optim_wrapper['optimizer']['lr'] = 1e6\n", None, True, 0),
    'a teacher that sees nothing': ('sed', '', 'teacher', False, 0),
    'a teacher that sees everything': ('sed', hook('everything', 0), 'teacher', False, 0),
    'lambda_d of 1e4': ('sed', SET_LAMBDA.format('lambda_d', 1e4), 'explosion', True, 0),
    'lambda_s of 1e4': ('sed', SET_LAMBDA.format('lambda_s', 1e4), 'explosion', True, 0),
    'lambda_d of 1e4, slowly': ('sed', SLOW + SET_LAMBDA.format('lambda_d', 1e4), 'gradient_ratio', False, 0),
    'a distance that is all': ('sssd', SLOW + SET_LAMBDA.format('lambda_', 1e6), 'distance_share', False, 0),
    'a loss scale that stays too large': ('sed', FLOAT16.format(1e30), 'no_step', False, 0),
    'a loss scale that begins too large': ('sed', FLOAT16.format('dict(init_scale=1e30)'), 'no_step', False, 0),
    'gradients that accumulate for ever': ('sed', "optim_wrapper['accumulative_counts'] = 1000\n", 'no_step', False, 0),
    'an infinite gradient': ('sed', hook('gradient'), 'non_finite', True, LATE),
    'a teacher that does not follow': ('sed', "custom_hooks[2]['alpha'] = 1.0\n", 'drift', False, 0),
    'a teacher that is far away': ('sed', hook('far', 4), 'drift', False, 4),
    'NaN in an image': ('sed', spoilt('img'), 'non_finite', True, 0),
    'NaN in a box': ('sed', spoilt('gt_bboxes'), 'non_finite', True, 0),
}
#: Signs that come in time for an interval as short as in this test only after ten iterations.
PATIENT = {'no_step': 10}


def default_hooks(repo_root, **changes):
    """The hooks of `_base_`, with a checkpoint after every iteration of which one is kept."""
    hooks = Config.fromfile(repo_root / 'configs/_base_/default_runtime.py').default_hooks.to_dict()
    hooks['logger']['interval'] = INTERVAL
    hooks['checkpoint'] = dict(hooks['checkpoint'], interval=1, max_keep_ckpts=1, **changes)
    return f"default_hooks = {hooks!r}\ntrain_cfg['max_iters'] = {LENGTH}\n"


def told(text):
    """To each sign the first iteration after which it was told."""
    found = {}
    for done, sign in re.findall(r'[Aa]fter iteration (\d+) \((\w+)\)', text):
        found.setdefault(sign, int(done))
    return found


@pytest.mark.parametrize('fault', SICK)
def test_a_sick_training_is_named_within_an_interval(make_job, repo_root, capsys, monkeypatch, fault):
    monkeypatch.setenv('LOCAL_RANK', '0')
    name, change, sign, stops, since = SICK[fault]
    job = make_job(extra=random_runs.extra(name, 0, seed=1) + default_hooks(repo_root) + change)
    status = run_cli(train.main, [str(job.config), '--work-dir', str(job.work_dir)])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith('sssd: error: ')]
    assert (status, len(lines)) == ((2, 1) if stops else (0, 0)), lines
    found = told(job.log + '\n'.join(lines))
    assert found and (sign is None or sign in found), (found, lines)
    assert found[sign or next(iter(found))] <= since + max(INTERVAL, PATIENT.get(sign, 0)), found
    kept = sorted(job.work_dir.glob('iter_*.pth'))
    assert len(kept) <= 1 and (kept or since == 0)
    for path in kept:
        read_checkpoint(path)  # which refuses NaN


def test_a_weight_that_no_loss_shows_is_named(make_job, repo_root, capsys, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')
    extra = random_runs.extra('sed', 0, seed=1) + default_hooks(repo_root) + hook('unused')
    job = make_job(extra=extra)
    assert run_cli(train.main, [str(job.config), '--work-dir', str(job.work_dir)]) == 2
    assert 'the weight student.unused is not finite' in capsys.readouterr().err
    assert [path.name for path in job.work_dir.glob('iter_*.pth')] == [f'iter_{LATE}.pth']


def test_the_best_checkpoint_stays_as_well(make_job, repo_root, capsys, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')
    extra = random_runs.extra('sed', 0, seed=1).replace('test_cfg = test_dataloader = test_evaluator = None\n', '')
    extra += default_hooks(repo_root, save_best='coco/bbox_mAP') + hook('weight')
    extra += (
        "train_cfg['val_interval'] = 2\n"
        "val_dataloader, val_evaluator, val_cfg = test_dataloader, test_evaluator, dict(type='ValLoop')\n"
    )
    job = make_job(extra=extra)
    assert run_cli(train.main, [str(job.config), '--work-dir', str(job.work_dir)]) == 2
    kept = sorted(path.name for path in job.work_dir.glob('*.pth'))
    assert kept[-1] == f'iter_{LATE}.pth' and len(kept) == 2 and kept[0].startswith('best_')
    for name in kept:
        read_checkpoint(job.work_dir / name)


@pytest.mark.parametrize('name', ['sed', 'both', 'faster_rcnn'])
def test_a_sound_training_is_not_stopped_and_little_is_said(make_job, repo_root, monkeypatch, name):
    monkeypatch.setenv('LOCAL_RANK', '0')
    job = make_job(extra=random_runs.extra(name, 0, seed=1) + default_hooks(repo_root))
    assert run_cli(train.main, [str(job.config), '--work-dir', str(job.work_dir)]) == 0
    assert set(told(job.log)) <= {'teacher'}  # of random weights, which see nothing
    assert len(json.dumps(told(job.log))) < 100
