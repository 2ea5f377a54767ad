"""HealthHook: each way of going wrong is named within an interval, and a sound training is left alone."""

import logging

import pytest
import tiny
import torch
from mmengine.hooks import Hook

from sssd.errors import LocalError, UserError
from sssd.hooks import HealthHook


class Spoil(Hook):
    """Does something to the model before an iteration."""

    priority = 'HIGHEST'

    def __init__(self, act, at=2):
        self.act, self.at = act, at

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.at:
            self.act(runner)


def train(tmp_path, act=None, at=2, iterations=6, model=None, lr=0.01, precision=None, accumulate=1, **health):
    """A tiny SED trained under watch, with a checkpoint after each iteration; its Runner."""
    hooks = [dict(type='sssd.EMATeacherHook', alpha=0.9), HealthHook(**dict(dict(interval=2, warmup=1), **health))]
    if act:
        hooks.append(Spoil(act, at))
    runner = tiny.make_runner(
        model or tiny.sed_config(tiny.retinanet()),
        [tiny.make_batch(seed=number) for number in range(iterations)],
        tmp_path,
        iterations,
        hooks=hooks,
        lr=lr,
        precision=precision,
        accumulate=accumulate,
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1, max_keep_ckpts=1)),
    )
    runner.train()
    return runner


@pytest.fixture
def warnings(monkeypatch):
    """What is told, as a list of sentences."""
    told = []
    monkeypatch.setattr(
        'sssd.hooks.health.print_log', lambda text, logger=None, level=logging.INFO: told.append((level, text))
    )
    return told


def signs(told):
    return {text.split('(')[1].split(')')[0] for level, text in told if level == logging.WARNING}


def kept_is_finite(tmp_path):
    (path,) = tmp_path.glob('iter_*.pth')
    state = torch.load(path, weights_only=False)['state_dict']
    return all(value.isfinite().all() for value in state.values() if value.is_floating_point())


def test_a_sound_training_is_left_alone(tmp_path, warnings):
    quiet = dict(teacher='off')  # random weights see nothing
    runner = train(tmp_path, actions=quiet)
    assert warnings == [] and runner.iter == 6 and kept_is_finite(tmp_path)


def spoil_weight(runner):
    with torch.no_grad():
        runner.model.student.bbox_head.retina_cls.weight.view(-1)[0] = float('nan')


def spoil_image(runner):
    raise_in = runner.model.student.bbox_head.retina_cls
    raise_in.register_full_backward_hook(lambda module, grad, out: tuple(value * float('inf') for value in grad))


def test_a_weight_that_is_nan_stops_training_with_the_last_good_checkpoint(tmp_path):
    with pytest.raises(
        LocalError, match=r'after iteration 3 \(non_finite\): the weight student.bbox_head.retina_cls.weight'
    ):
        train(tmp_path, spoil_weight)
    assert (tmp_path / 'iter_2.pth').is_file() and kept_is_finite(tmp_path)


def test_a_learning_rate_far_too_high_is_named(tmp_path):
    with pytest.raises(LocalError, match='learning rate'):
        train(tmp_path, lr=1e6)
    assert not list(tmp_path.glob('iter_*.pth')) or kept_is_finite(tmp_path)


def test_a_gradient_that_is_not_finite_stops_or_is_left_out(tmp_path, warnings):
    with pytest.raises(LocalError, match='the gradient of student'):
        train(tmp_path / 'stop', spoil_image)
    warnings.clear()
    runner = train(tmp_path / 'skip', spoil_image, actions=dict(non_finite='skip', teacher='off', no_step='off'))
    assert runner.iter == 6 and signs(warnings) == {'non_finite'} and kept_is_finite(tmp_path / 'skip')


def test_a_fused_optimizer_leaves_out_what_overflows(tmp_path, warnings):
    """It sees the gradients that the loss scale has found too large, and does nothing; nor does the teacher."""
    fused = dict(type='SGD', lr=0.01, momentum=0.9, fused=True)
    wrapper = dict(type='sssd.Float16OptimWrapper', loss_scale=dict(init_scale=2.0**60), optimizer=fused)
    runner = train(tmp_path, actions=dict(teacher='off', no_step='off'), precision=wrapper)
    assert runner.iter == 6 and warnings == [] and kept_is_finite(tmp_path)
    assert runner.optim_wrapper.loss_scaler.get_scale() < 2.0**60
    assert 'train/alpha' not in runner.message_hub.log_scalars  # of the steps that moved the teacher


def test_a_teacher_that_sees_nothing_is_named(tmp_path, warnings):
    train(tmp_path)
    assert signs(warnings) == {'teacher'} and 'was 0 throughout' in warnings[0][1]


def test_a_teacher_that_sees_objects_everywhere_is_named(tmp_path, warnings):
    def act(runner):
        runner.model.teacher.bbox_head.retina_cls.bias.data.fill_(50.0)
        runner.model.teacher.bbox_head.retina_cls.weight.data.fill_(0.0)

    train(tmp_path, act, at=0, actions=dict(drift='off', gradient_ratio='off', explosion='off'), iterations=2)
    assert 'was 1 or above throughout' in warnings[0][1]


def test_a_teacher_far_from_its_student_is_named(tmp_path, warnings):
    def act(runner):
        for value in runner.model.student.parameters():
            value.data.mul_(4.0)

    train(tmp_path, act, iterations=4, actions=dict(teacher='off', explosion='off', non_finite='off'))
    assert signs(warnings) == {'drift'}


def test_figures_out_of_bounds_are_named(tmp_path, warnings, monkeypatch):
    hook = HealthHook(interval=1, patience=50, ratio=5.0, share=0.9, actions=dict(drift='off'))
    runner = type('R', (), dict(iter=9, max_iters=20, work_dir='w', model=torch.nn.Linear(1, 1)))()
    hook.warmup = 0
    hook.after_train_iter(runner, 0, outputs=dict(loss=1.0, scale_grad_ratio=60.0, distill_share=0.99))
    assert signs(warnings) == {'gradient_ratio', 'distance_share'}
    warnings.clear()
    hook.after_train_iter(runner, 0, outputs=dict(loss=1.0, scale_grad_ratio=0.6, distill_share=0.4))
    assert warnings == []
    with pytest.raises(LocalError, match='explosion'):
        hook.after_train_iter(runner, 0, outputs=dict(loss=1e7))


def test_an_optimizer_that_never_steps_is_named(tmp_path, warnings):
    train(tmp_path, accumulate=100, patience=3, actions=dict(teacher='off'))
    assert signs(warnings) == {'no_step'}


def test_no_checkpoint_is_written_of_weights_that_are_not_finite():
    model = torch.nn.Module()
    model.register_buffer('c', torch.tensor(float('inf')))  # on purpose
    hook, runner = HealthHook(actions=dict(explosion='off')), type('R', (), dict(work_dir='runs', model=model))()
    hook.before_save_checkpoint(runner, dict(state_dict=dict(a=torch.ones(2), c=torch.tensor(float('inf')), d='extra')))
    with pytest.raises(LocalError, match='the weight b is not finite.*runs'):
        hook.before_save_checkpoint(runner, dict(state_dict=dict(a=torch.ones(2), b=torch.tensor([1.0, float('inf')]))))


@pytest.mark.parametrize('actions', [dict(teachr='warn'), dict(teacher='skip'), dict(drift='ask')])
def test_unknown_signs_and_actions_are_refused(actions):
    with pytest.raises(UserError, match='HealthHook'):
        HealthHook(actions=actions)
