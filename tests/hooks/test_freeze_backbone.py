"""The frozen backbone: nothing in it moves, then everything does; also under DDP and after a resume."""

import guided
import pytest
import tiny
import torch
from mmengine.hooks import Hook
from mmengine.model import MMDistributedDataParallel
from torch import nn

from sssd.errors import UserError
from sssd.hooks import FreezeBackboneHook

UNTIL = 2


def with_batch_norm():
    """A tiny RetinaNet whose backbone has BatchNorm in training mode and a frozen stem."""
    detector = tiny.retinanet()
    detector['backbone'].update(
        norm_cfg=dict(type='BN', requires_grad=True), norm_eval=False, frozen_stages=0, zero_init_residual=False
    )
    return detector


def backbone_of(model):
    return tiny.state_of(model.detector.backbone)


def same(first, second):
    return [name for name in first if torch.equal(first[name], second[name])]


class Watch(Hook):
    """States of backbone and neck after every iteration, and the backbone's modes in it."""

    priority = 'LOWEST'

    def __init__(self):
        self.backbones, self.necks, self.modes = [], [], []

    def before_train(self, runner):
        self.note(runner.model)

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.modes.append(runner.model.detector.backbone.layer4.training)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.note(runner.model)

    def note(self, model):
        self.backbones.append(backbone_of(model))
        self.necks.append(tiny.state_of(model.detector.neck))


@pytest.fixture(scope='module')
def watched(tmp_path_factory):
    """Four iterations of AdamW with weight decay and clipping, the first two frozen."""
    watch = Watch()
    torch.manual_seed(0)
    runner = tiny.make_runner(
        guided.config(with_batch_norm()),
        [guided.batch(seed=index) for index in range(4)],
        tmp_path_factory.mktemp('freeze'),
        4,
        hooks=[FreezeBackboneHook(UNTIL), watch],
    )
    runner.optim_wrapper = runner.build_optim_wrapper(
        dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.5), clip_grad=dict(max_norm=10))
    )
    runner.train()
    watch.runner = runner
    return watch


def test_nothing_in_the_backbone_moves_until_then_and_all_of_it_after(watched):
    start, second, third = watched.backbones[0], watched.backbones[UNTIL], watched.backbones[UNTIL + 1]
    assert same(start, second) == list(start)
    stem = ('conv1', 'bn1')
    assert all(name.startswith(stem) for name in same(second, third))
    assert any('running_var' in name for name in set(second) - set(same(second, third)))


def test_the_rest_trains_meanwhile(watched):
    assert all(len(same(first, second)) < len(first) for first, second in zip(watched.necks, watched.necks[1:]))


def test_the_mode_is_eval_while_frozen(watched):
    assert watched.modes == [False] * UNTIL + [True] * (4 - UNTIL)


def test_no_trace_is_left(watched):
    backbone = watched.runner.model.detector.backbone
    assert not backbone._forward_hooks and not backbone._forward_pre_hooks
    assert not watched.runner.optim_wrapper.optimizer._optimizer_step_pre_hooks
    assert [name for name, value in backbone.named_parameters() if not value.requires_grad] == [
        'conv1.weight',
        'bn1.weight',
        'bn1.bias',
    ]


def test_ddp_without_a_search_for_unused_parameters(tmp_path, monkeypatch):
    """DDP raises in the next forward if a parameter was not reported; the distance is off in the freeze."""
    monkeypatch.setenv('GLOO_SOCKET_IFNAME', 'lo')
    torch.distributed.init_process_group('gloo', f'file://{tmp_path}/meet', rank=0, world_size=1)
    try:
        inner = guided.build(with_batch_norm(), lambda_=0.0)
        model = MMDistributedDataParallel(inner, broadcast_buffers=False)
        runner, hook, states = guided.fake_runner(model), FreezeBackboneHook(UNTIL), [backbone_of(inner)]
        hook.before_train(runner)
        for runner.iter in range(4):
            hook.before_train_iter(runner, runner.iter)
            model.train_step(guided.batch(((), ()) if runner.iter == 1 else tiny.BOXES), runner.optim_wrapper)
            states.append(backbone_of(inner))
        assert same(states[0], states[UNTIL]) == list(states[0])
        assert len(same(states[UNTIL], states[UNTIL + 1])) < 10
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize('iteration, frozen', [(UNTIL - 1, True), (UNTIL, False), (UNTIL + 5, False)])
def test_right_after_a_resume(iteration, frozen):
    model = guided.build(with_batch_norm())
    runner, hook, before = guided.fake_runner(model, iteration), FreezeBackboneHook(UNTIL), backbone_of(model)
    hook.before_train(runner)
    hook.before_train_iter(runner, 0)
    model.train_step(guided.batch(), runner.optim_wrapper)
    assert (same(before, backbone_of(model)) == list(before)) == frozen


def test_validation_and_errors_do_not_change_the_grad_mode():
    model = guided.build(with_batch_norm())
    hook, runner = FreezeBackboneHook(UNTIL), guided.fake_runner(model)
    hook.before_train(runner)
    with torch.no_grad():
        model.detector.backbone(torch.rand(1, 3, 64, 64))
        assert not torch.is_grad_enabled()
    with pytest.raises(RuntimeError):
        model.detector.backbone(torch.rand(1, 4, 64, 64))
    assert torch.is_grad_enabled()


def test_nothing_to_freeze_is_told():
    with pytest.raises(UserError, match='Linear has no backbone that trains'):
        FreezeBackboneHook(UNTIL).before_train(guided.fake_runner(nn.Linear(1, 1)))
    FreezeBackboneHook(0).before_train(guided.fake_runner(nn.Linear(1, 1)))
