"""Eq. 4 over parameters and buffers, and when the hook applies it."""

from types import SimpleNamespace

import pytest
import tiny
import torch
from mmengine.hooks import Hook
from torch import nn

from sssd.errors import UserError
from sssd.hooks import EMATeacherHook
from sssd.hooks.ema_teacher import average
from sssd.schedules import Progress


def net(seed):
    """A layer, a BatchNorm that has seen data, and a buffer of integers."""
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    module.train()
    for _ in range(seed + 1):
        module(torch.randn(2, 3, 8, 8) * (seed + 1))
    return module


@pytest.mark.parametrize('alpha', [0.0, 0.3, 0.99, 1.0])
def test_eq_4_over_parameters_and_buffers(alpha):
    teacher, student = net(0), net(4)
    old, new = tiny.state_of(teacher), tiny.state_of(student)
    average(teacher, student, alpha)
    for name, value in teacher.state_dict().items():
        if name.endswith('num_batches_tracked'):
            assert value == new[name] == 5 and old[name] == 1
            continue
        expected = alpha * old[name].double() + (1 - alpha) * new[name].double()
        torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-6)
    running = {name for name in old if 'running' in name}
    assert len(running) == 2 and all(not torch.equal(old[name], new[name]) for name in running)
    assert all(torch.equal(value, new[name]) for name, value in student.state_dict().items())


def test_the_copy_at_the_start_is_exact():
    teacher, student = net(0), net(1)
    average(teacher, student, alpha=0.0)
    assert all(torch.equal(value, student.state_dict()[name]) for name, value in teacher.state_dict().items())


@pytest.mark.parametrize('iteration, equal', [(0, True), (3, False)])
def test_the_teacher_becomes_the_student_at_the_start_and_not_when_training_goes_on(iteration, equal):
    pair = nn.ModuleDict(dict(student=net(1), teacher=net(0)))
    pair.student, pair.teacher = pair['student'], pair['teacher']
    optimizer = torch.optim.SGD(pair.student.parameters(), lr=0.1)
    runner = SimpleNamespace(model=pair, iter=iteration, optim_wrapper=SimpleNamespace(optimizer=optimizer))
    EMATeacherHook().before_train(runner)
    student, teacher = (tiny.state_of(pair[part]) for part in ('student', 'teacher'))
    assert all(torch.equal(value, teacher[name]) for name, value in student.items()) == equal


def test_alpha_of_zero_is_no_default():
    after_decay = Progress(9, 10, lr=0.001, peak_lr=0.1)
    assert EMATeacherHook(alpha=0).alpha(after_decay) == 0
    assert [EMATeacherHook().alpha(progress) for progress in (Progress(0, 10), after_decay)] == [0.99, 0.9]


def test_a_model_without_teacher_is_refused():
    with pytest.raises(UserError, match='Linear has no student and teacher'):
        EMATeacherHook().before_train(SimpleNamespace(model=nn.Linear(1, 1), iter=0))


class Watch(Hook):
    """Records teacher and student at the start and after every iteration, once the EMA is done."""

    priority = 'LOWEST'

    def __init__(self):
        self.teachers, self.students, self.modes = [], [], []

    def before_train(self, runner):
        self.after_train_iter(runner, 0)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.teachers.append(tiny.state_of(runner.model.teacher))
        self.students.append(tiny.state_of(runner.model.student))
        self.modes.append({module.training for module in runner.model.teacher.modules()})


def with_batch_norm():
    """A tiny RetinaNet whose backbone has BatchNorm in training mode."""
    detector = tiny.retinanet()
    detector['backbone'].update(norm_cfg=dict(type='BN', requires_grad=True), norm_eval=False)
    return detector


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope='module')
def accumulated(tmp_path_factory):
    """Four iterations with two per optimizer step, alpha 0.75."""
    watch = Watch()
    torch.manual_seed(0)
    runner = tiny.make_runner(
        tiny.sed_config(with_batch_norm()),
        [tiny.make_batch(seed=i) for i in range(4)],
        tmp_path_factory.mktemp('ema'),
        4,
        hooks=[EMATeacherHook(alpha=0.75), watch],
        accumulate=2,
    )
    runner.train()
    return watch


def test_teacher_equals_student_at_the_start(accumulated):
    assert same(accumulated.teachers[0], accumulated.students[0])
    assert any('running_mean' in name for name in accumulated.teachers[0])


def test_the_average_is_taken_at_optimizer_steps_alone(accumulated):
    teachers = accumulated.teachers
    assert same(teachers[0], teachers[1]) and same(teachers[2], teachers[3])
    assert not same(teachers[1], teachers[2]) and not same(teachers[3], teachers[4])


def test_the_average_follows_parameters_and_buffers(accumulated):
    teachers, students = accumulated.teachers, accumulated.students
    for before, after in ((0, 2), (2, 4)):
        for name, old in teachers[before].items():
            new = students[after][name]
            expected = 0.75 * old + 0.25 * new if old.is_floating_point() else new
            torch.testing.assert_close(teachers[after][name], expected, rtol=1e-5, atol=1e-6)
    moved = [name for name in teachers[0] if not torch.equal(teachers[0][name], teachers[4][name])]
    assert any('running_var' in name for name in moved) and any('num_batches' in name for name in moved)


def test_the_teacher_is_evaluated_throughout(accumulated):
    assert all(modes == {False} for modes in accumulated.modes[1:])


def test_a_step_that_is_left_out_moves_no_teacher(tmp_path):
    model, watch = tiny.build_sed(tiny.retinanet()), Watch()
    steps = []

    def broken(gradient):
        steps.append(len(steps))
        return gradient * (float('nan') if steps[-1] == 1 else 1)

    next(model.student.bbox_head.parameters()).register_hook(broken)
    hooks = [EMATeacherHook(alpha=0.75), dict(type='sssd.HealthHook', actions=dict(non_finite='skip')), watch]
    data = [tiny.make_batch(seed=i, branches=False) for i in range(3)]
    tiny.make_runner(model, data, tmp_path, 3, hooks=hooks).train()
    assert [same(*pair) for pair in zip(watch.students, watch.students[1:])] == [False, True, False]
    assert [same(*pair) for pair in zip(watch.teachers, watch.teachers[1:])] == [False, True, False]


def test_a_tensor_with_two_names_is_averaged_once():
    teacher, student = (nn.ModuleList([shared, shared]) for shared in (nn.Linear(2, 2), nn.Linear(2, 2)))
    old, new = tiny.state_of(teacher), tiny.state_of(student)
    average(teacher, student, alpha=0.5)
    torch.testing.assert_close(teacher[1].weight.data, (old['0.weight'] + new['0.weight']) / 2)


def test_tensors_that_were_put_in_the_place_of_others_are_the_ones_averaged():
    """As by ``to``, weight norm, or a new Parameter; between two calls, so nothing that was kept may be used."""
    teacher, student = net(0), net(1)
    average(teacher, student, alpha=0.5)
    teacher[0].weight = nn.Parameter(torch.zeros_like(teacher[0].weight))
    student[0].weight = nn.Parameter(torch.ones_like(student[0].weight))
    average(teacher, student, alpha=0.75)
    assert torch.equal(teacher[0].weight, torch.full_like(teacher[0].weight, 0.25))
    teacher.double()
    average(teacher, student, alpha=0.5)
    assert torch.equal(teacher[0].weight, torch.full_like(teacher[0].weight, 0.625)) and teacher[0].weight.requires_grad
