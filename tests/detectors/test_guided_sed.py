"""SED with a label-guided teacher on its labelled branch: one config, one schedule hook, plain detectors."""

import guided
import pytest
import tiny
import torch
from mmengine.hooks import Hook
from mmengine.model import MMDistributedDataParallel

from sssd.detectors.guidance import own_losses
from sssd.errors import UserError
from sssd.hooks import FreezeBackboneHook, LambdaScheduleHook
from sssd.hooks.ema_teacher import average
from sssd.losses import total_of

NAMES = sorted(tiny.DETECTORS)
ITERATIONS = 4
MIXED, NO_BOXES = (*tiny.BOXES, ()), ((), ())


def build(name, **options):
    return tiny.build_sed(tiny.DETECTORS[name](), **{**dict(guidance=dict()), **options})


class PowerCut(Exception):
    """What ends a run in the middle."""


class Watch(Hook):
    """What the other hooks set in every iteration, and which parameters had a gradient; may cut the power."""

    priority = 'LOWEST'

    def __init__(self, after=None):
        self.after, self.seen, self.without, self.losses = after, [], [], []

    def before_train(self, runner):
        self.used = set()
        for name, value in runner.model.named_parameters():
            if value.requires_grad:
                value.register_post_accumulate_grad_hook(lambda _, name=name: self.used.add(name))

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        torch.manual_seed(runner.iter)  # mmdet's random samplers do not resume

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        model, alpha = runner.model, runner.message_hub.get_scalar('train/alpha').current()
        self.seen.append(
            (model.lambda_s, model.lambda_d, model.lambda_, model.student_grad, alpha, model.student.backbone.training)
        )
        wanted = {name for name, value in model.named_parameters() if value.requires_grad}
        self.without += sorted(wanted - self.used)
        self.used.clear()
        self.losses.append(outputs)
        if runner.iter + 1 == self.after:
            raise PowerCut


def run(name, work_dir, stop=None, resume=False):
    """Four iterations: frozen for one, the student detached for two, the rate falls after three."""
    watch = Watch(stop)
    hooks = [
        dict(
            type='sssd.LambdaScheduleHook',
            lambda_s=1.0,
            lambda_d=dict(type='Ramp', after=1.0, length=4),
            lambda_=dict(type='Ramp', begin=1, after=dict(type='StepAtDecay', start=75.0, end=100.0)),
            student_grad=dict(type='Ramp', begin=2, after=1.0),
        ),
        dict(type='sssd.EMATeacherHook', alpha=dict(type='StepAtDecay', start=0.9, end=0.5)),
        dict(type='sssd.FreezeBackboneHook', until=1),
        watch,
    ]
    torch.manual_seed(0)
    boxes = (tiny.BOXES, MIXED, NO_BOXES, tiny.BOXES)
    runner = tiny.make_runner(
        tiny.sed_config(tiny.DETECTORS[name](), guidance=dict(guide=dict(type='LGD', context=True))),
        [tiny.make_batch(seed=index, boxes=boxes[index]) for index in range(ITERATIONS)],
        work_dir,
        ITERATIONS,
        hooks=hooks,
        resume=resume,
        lr=0.01,
        param_scheduler=[dict(type='MultiStepLR', by_epoch=False, milestones=[3], gamma=0.1)],
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1, save_last=False)),
    )
    if stop:
        with pytest.raises(PowerCut):
            runner.train()
    else:
        runner.train()
    return tiny.state_of(runner.model), watch


@pytest.mark.parametrize('name', NAMES)
def test_a_run_and_its_resume(name, tmp_path):
    """Every parameter is used in every iteration, all parts move, and stopping in between changes nothing."""
    whole, watch = run(name, tmp_path / 'whole')
    assert watch.without == []
    assert watch.seen == [
        (1, 0, 0, 0, 0.9, False),
        (1, 0.25, 75, 0, 0.9, True),
        (1, 0.5, 75, 1, 0.9, True),
        (1, 0.75, 100, 1, 0.5, True),
    ]
    assert all(torch.isfinite(value).all() for losses in watch.losses for value in losses.values())
    half, first = run(name, tmp_path / 'parts', stop=2)
    resumed, second = run(name, tmp_path / 'parts', resume=True)
    assert first.seen + second.seen == watch.seen and second.without == []
    for part in ('student', 'teacher', 'guidance.guide', 'guidance.adapter'):
        assert any(not torch.equal(half[key], whole[key]) for key in whole if key.startswith(part))
    for key, value in whole.items():
        torch.testing.assert_close(resumed[key], value, rtol=0, atol=1e-6, msg=key)


@pytest.mark.parametrize('name', NAMES)
def test_the_labelled_branch_has_the_losses_of_a_guided_detector(name):
    """Term by term those of a GuidedDetector with the same weights."""
    model, alone = build(name), guided.build(tiny.DETECTORS[name]())
    alone.detector.load_state_dict(model.student.state_dict())
    alone.guidance.load_state_dict(model.guidance.state_dict())
    batch = tiny.make_batch(boxes=MIXED, branches=False)
    torch.manual_seed(1)
    expected = tiny.losses_of(alone, guided.batch(MIXED))
    torch.manual_seed(1)
    found = tiny.losses_of(model, batch)
    assert set(found) == {f'sup_{key}' for key in expected}
    assert {'sup_loss_distill', 'sup_distill_share', 'sup_guide_loss_cls'} <= set(found)
    for key, value in expected.items():
        torch.testing.assert_close(found[f'sup_{key}'], value, rtol=0, atol=0)


@pytest.mark.parametrize('name', NAMES)
def test_nothing_of_the_rest_depends_on_the_guidance(name):
    """The same weights of student and teacher as without, and the same own losses."""
    model, plain = build(name), tiny.build_sed(tiny.DETECTORS[name]())
    state = plain.state_dict()
    assert set(state) == {key for key in model.state_dict() if not key.startswith('guidance.')}
    assert set(model.student.state_dict()) == set(model.teacher.state_dict())
    assert not hasattr(plain, 'lambda_') and not hasattr(plain, 'student_grad')
    plain.load_state_dict({key: model.state_dict()[key] for key in state})
    torch.manual_seed(1)
    expected = tiny.losses_of(plain, tiny.make_batch(branches=False))
    torch.manual_seed(1)
    found = own_losses(tiny.losses_of(model, tiny.make_batch(branches=False)), 'sup_')
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=0, atol=0)


def test_the_unsupervised_part_is_compared_with_the_detector_s_own_losses():
    """Whatever the guide's terms are, the figure means what it means without guidance."""
    model = build('retinanet')
    for model.lambda_ in (0.0, 1000.0):
        losses = tiny.losses_of(model, tiny.make_batch())
        ours = {key: value for key, value in losses.items() if '_loss_scale_' in key or '_loss_distill_' in key}
        own = {key: losses[key] for key in ('sup_loss_cls', 'sup_loss_bbox')}
        torch.testing.assert_close(losses['unsup_over_sup'], total_of(ours) / total_of(own))
    supervised = {key: value for key, value in losses.items() if key.startswith('sup_')}
    torch.testing.assert_close(losses['sup_distill_share'], losses['sup_loss_distill'].detach() / total_of(supervised))


def test_the_distance_moves_the_student_alone():
    model = build('fcos')
    losses = tiny.losses_of(model, tiny.make_batch())
    losses['sup_loss_distill'].backward()
    moved = {
        name.split('.')[0] + '.' + name.split('.')[1]
        for name, value in model.named_parameters()
        if value.grad is not None and value.grad.abs().max() > 0
    }
    assert moved == {'student.backbone', 'student.neck', 'guidance.adapter'}


def test_ddp_with_a_frozen_backbone(tmp_path, monkeypatch):
    """DDP raises in the next forward if a parameter was not reported; the distance is off in the first iterations."""
    monkeypatch.setenv('GLOO_SOCKET_IFNAME', 'lo')
    torch.distributed.init_process_group('gloo', f'file://{tmp_path}/meet', rank=0, world_size=1)
    try:
        inner = build('faster_rcnn')
        model = MMDistributedDataParallel(inner, broadcast_buffers=False)
        runner = guided.fake_runner(model)
        freeze, weights, states = (
            FreezeBackboneHook(2),
            LambdaScheduleHook(
                lambda_s=1.0,
                lambda_d=dict(type='Ramp', begin=1, after=1.0),
                lambda_=dict(type='Ramp', begin=2, after=75.0),
            ),
            [],
        )
        freeze.before_train(runner)
        weights.before_train(runner)
        for runner.iter in range(4):
            states.append(tiny.state_of(inner.student.backbone))
            for hook in (freeze, weights):
                hook.before_train_iter(runner, runner.iter)
            model.train_step(
                tiny.make_batch(seed=runner.iter, boxes=NO_BOXES if runner.iter == 1 else MIXED), runner.optim_wrapper
            )
            average(inner.teacher, inner.student, 0.9)
        same = [all(torch.equal(first[key], second[key]) for key in first) for first, second in zip(states, states[1:])]
        assert same == [True, True, False]
    finally:
        torch.distributed.destroy_process_group()


def predicted(model, role):
    """Scores of each image, by the teacher, the student or the guide."""
    model.semi_test_cfg = dict(predict_on=role)
    data = model.data_preprocessor.data_preprocessor(guided.batch(), False)
    with torch.no_grad():
        found = model.predict(data['inputs'], data['data_samples'])
    return [sample.pred_instances.scores for sample in found]


@pytest.mark.parametrize('name', NAMES)
def test_the_guide_itself_is_evaluated_on_the_students_features(name):
    """As a guided detector's with the same weights."""
    model = build(name).eval()
    for value in model.student.parameters():  # another than its teacher
        value.data.add_(0.01 * torch.randn_like(value))
    alone = guided.build(tiny.DETECTORS[name](), predict_on='guide').eval()
    alone.detector.load_state_dict(model.student.state_dict())
    alone.guidance.load_state_dict(model.guidance.state_dict())
    for detector in (model.student, model.teacher, alone.detector):
        tiny.keep_all_scores(detector)
    data = alone.data_preprocessor(guided.batch(), False)
    with torch.no_grad():
        expected = [sample.pred_instances.scores for sample in alone.predict(data['inputs'], data['data_samples'])]
    found = {role: predicted(model, role) for role in ('guide', 'student', 'teacher')}
    assert all(torch.equal(one, other) for one, other in zip(found['guide'], expected, strict=True))
    assert not torch.equal(found['guide'][0], found['student'][0])
    assert not torch.equal(found['student'][0], found['teacher'][0])


def test_no_guide_to_evaluate():
    with pytest.raises(UserError, match="predict_on of semi_test_cfg is 'guide', but this model has no guidance"):
        predicted(tiny.build_sed(tiny.fcos()).eval(), 'guide')


def test_refusals():
    with pytest.raises(UserError, match='RetinaNet has no dense head over a pyramid'):
        tiny.build_sed({**tiny.retinanet(), 'neck': None}, guidance=dict())
    with pytest.raises(UserError, match='SED has no weight .lambda_.; .*SED with guidance'):
        LambdaScheduleHook(lambda_=1.0).before_train(guided.fake_runner(tiny.build_sed(tiny.fcos())))
    with pytest.raises(UserError, match='nothing trains the guide LGD with guide_loss=False'):
        build('fcos', guidance=dict(guide_loss=False))
    with pytest.raises(UserError, match='SED: lambda_d is -4, but a weight is a number from 0 on, and 0 turns it off'):
        tiny.build_sed(tiny.fcos(), lambda_d=-4)
    with pytest.raises(UserError, match='Guidance: lambda_ is nan, but'):
        build('fcos', guidance=dict(lambda_=float('nan')))
