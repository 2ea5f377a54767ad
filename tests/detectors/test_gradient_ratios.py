"""Gradients of a model's losses at what they share, against gradients that are computed one by one."""

import guided
import pytest
import tiny
import torch
from torch import nn

from sssd.detectors.gradient_ratios import shared_parameters
from sssd.hooks import CompilePartsHook, FreezeBackboneHook, RecomputeHook
from sssd.losses import sum_of
from sssd.optim import half_precision

DETECTORS = {**tiny.DETECTORS, **tiny.OTHERS}
GUIDANCE = dict(distance=dict(kind='mse'), lambda_=2.0)
BATCH = tiny.make_batch(unlabelled=4)


def build(name, **options):
    """A model that measures."""
    model = tiny.build_sed(DETECTORS[name](), backward='joint', **options)  # terms that are differentiated one by one
    model.measure_gradients = True
    return model


def losses_of(model, batch=BATCH):
    """Losses of one batch; what is drawn in the forward pass is the same every time."""
    torch.manual_seed(5)
    return tiny.losses_of(model, batch)


def ratios(losses):
    """The measured entries by branch."""
    return {
        name.removesuffix('_grad_ratio'): float(value) for name, value in losses.items() if name.endswith('_grad_ratio')
    }


def gradient(model, wanted, parameters, batch=BATCH):
    """The gradient of some loss terms, by a forward and a backward pass of their own."""
    model.zero_grad()
    model.measure_gradients = False
    terms = [term for name, term in losses_of(model, batch).items() if 'loss' in name and wanted(name)]
    sum(
        term.mean() if isinstance(term, torch.Tensor) else sum(part.mean() for part in term) for term in terms
    ).backward()
    parts = [torch.zeros_like(value) if value.grad is None else value.grad for value in parameters]
    return torch.cat([part.flatten() for part in parts])


def explicit(model, parameters, prefix='sup_'):
    """Ratios and cosines by branch, each branch on its own."""
    marks = dict(scale='_loss_scale_', distill='_loss_distill_', guide=f'{prefix}loss_distill')
    marks = marks if model.guidance is not None else {key: marks[key] for key in ('scale', 'distill')}
    rows = {branch: gradient(model, lambda name, mark=mark: mark in name, parameters) for branch, mark in marks.items()}
    own = gradient(
        model,
        lambda name: name.startswith(prefix) and 'guide_' not in name and not any(m in name for m in marks.values()),
        parameters,
    )
    cosines = {branch: float(row @ own / row.norm() / own.norm()) for branch, row in rows.items()}
    return {branch: float(row.norm() / own.norm()) for branch, row in rows.items()}, cosines


@pytest.mark.parametrize('name', ['retinanet', 'faster_rcnn'])
@pytest.mark.parametrize('parts', [(), ('backbone', 'neck')], ids=['neck', 'whole'])
def test_ratios_are_those_of_gradients_computed_one_by_one(name, parts):
    model = build(name, guidance=GUIDANCE, lambda_s=0.7, lambda_d=3.0)
    model.measured_parts = parts
    found = ratios(losses_of(model))
    cosines = {branch: float(value) for branch, value in model.gradient_cosines.items()}
    modules = [getattr(model.student, part) for part in parts or ('neck',)]
    expected, angles = explicit(model, [value for module in modules for value in module.parameters()])
    assert set(found) == {'scale', 'distill', 'guide'} and min(found.values()) > 1e-3
    assert found == pytest.approx(expected, rel=1e-3) and cosines == pytest.approx(angles, abs=1e-3)


@pytest.mark.parametrize('name, stage', [('c4', 'layer3'), ('dc5', 'layer4')])
def test_without_a_neck_the_last_stage_of_the_backbone_is_shared(name, stage):
    model = build(name)
    found = ratios(losses_of(model))
    expected, _ = explicit(model, list(getattr(model.student.backbone, stage).parameters()))
    assert set(found) == {'scale', 'distill'} and found == pytest.approx(expected, rel=1e-3)


def test_a_guided_detector_measures_its_distance():
    model = guided.build(tiny.retinanet(), **GUIDANCE)
    model.measure_gradients = True
    batch = guided.batch()
    found = ratios(losses_of(model, batch))
    neck = list(model.detector.neck.parameters())
    own = gradient(model, lambda name: name in ('loss_cls', 'loss_bbox'), neck, batch)
    distance = gradient(model, lambda name: name == 'loss_distill', neck, batch)
    assert found == pytest.approx(dict(guide=float(distance.norm() / own.norm())), rel=1e-3)


def test_a_ratio_is_linear_in_its_lambda():
    model = build('fcos', guidance=GUIDANCE)
    first = ratios(losses_of(model))
    model.lambda_s, model.lambda_d, model.lambda_ = 3 * model.lambda_s, 0.5 * model.lambda_d, 10 * model.lambda_
    factors = dict(scale=3.0, distill=0.5, guide=10.0)
    assert ratios(losses_of(model)) == pytest.approx({name: factors[name] * first[name] for name in first}, rel=1e-4)


@pytest.mark.parametrize('name', sorted(DETECTORS))
def test_training_s_gradients_and_random_numbers_are_the_same_bit_by_bit(name):
    options = dict(guidance=GUIDANCE) if name in tiny.DETECTORS else {}
    kept = []
    for measure in (False, True):
        model = build(name, **options)
        model.measure_gradients = measure
        losses = losses_of(model)
        sum_of(losses).backward()
        drawn = torch.rand(1).item()
        kept.append(({name: value.grad for name, value in model.named_parameters()}, drawn, losses))
    (plain, draw, losses), (measured, draw_measured, more) = kept
    assert draw == draw_measured and set(more) - set(losses) == {f'{branch}_grad_ratio' for branch in ratios(more)}
    assert any(value is not None and value.abs().max() > 0 for value in plain.values())
    for key, value in plain.items():
        assert (value is None and measured[key] is None) or torch.equal(value, measured[key]), key


def test_nothing_is_measured_unless_asked_for():
    model = build('retinanet')
    model.measure_gradients = False
    assert not ratios(losses_of(model)) and model.gradient_norms is None


def test_a_branch_that_is_off_is_logged_as_0_once_it_was_logged():
    model = build('retinanet')
    model.lambda_s = model.lambda_d = 0.0
    assert ratios(losses_of(model)) == {}
    model.lambda_d = 1.0
    assert set(ratios(losses_of(model))) == {'distill'}
    model.lambda_s, model.lambda_d = 1.0, 0.0
    found = ratios(losses_of(model))
    assert found['distill'] == 0 and found['scale'] > 0
    model.lambda_s = 0.0
    assert ratios(losses_of(model)) == dict(scale=0, distill=0)


def test_a_batch_of_labels_alone_has_no_pull_of_the_others():
    found = ratios(losses_of(build('retinanet'), tiny.make_batch(branches=False)))
    assert found == dict(scale=0, distill=0)


def test_a_detached_student_is_not_pulled_by_the_distance():
    model = build('retinanet', guidance=GUIDANCE)
    model.student_grad = 0.0
    found = ratios(losses_of(model))
    assert found['guide'] == 0 and found['scale'] > 0


def test_a_frozen_backbone():
    """The neck is measured whether the config freezes the backbone, or the hook, which runs it without a graph."""
    model = build('retinanet')
    free = ratios(losses_of(model))
    model.student.backbone.requires_grad_(False)
    assert ratios(losses_of(model)) == pytest.approx(free, rel=1e-4)
    model = build('retinanet')
    runner = guided.fake_runner(model)
    hook = FreezeBackboneHook(until=3)
    hook.before_train(runner)
    assert ratios(losses_of(model)) == pytest.approx(free, rel=1e-4)
    hook.after_train(runner)


def test_where_nothing_that_is_shared_trains_nothing_is_measured():
    model = build('c4')
    for module in (model.student.backbone, model.student.neck if model.student.with_neck else nn.Identity()):
        module.requires_grad_(False)
    losses = losses_of(model)
    assert not ratios(losses) and torch.isfinite(sum_of(losses))
    model = build('retinanet')
    model.student.neck.requires_grad_(False)
    model.student.backbone.layer4.requires_grad_(False)
    assert shared_parameters(model.student) == list(model.student.backbone.layer3.parameters())


def test_parts_that_are_computed_again():
    model = build('retinanet')
    model.measured_parts = ('backbone', 'neck')
    expected = ratios(losses_of(model))
    RecomputeHook(parts=('backbone', 'neck')).before_train(guided.fake_runner(model))
    losses = losses_of(model)
    assert ratios(losses) == pytest.approx(expected, rel=1e-5)
    sum_of(losses).backward()


@pytest.mark.slow
def test_parts_that_are_compiled_are_left_out(capsys):
    """torch.compile's graphs cannot be kept for a second backward pass; training goes on as it would."""
    torch._dynamo.reset()
    found = []
    for compiled in (False, True):
        model = build('retinanet')
        if compiled:
            hook = CompilePartsHook(parts=['neck'], options=dict(backend='aot_eager', dynamic=True))
            hook.before_train(guided.fake_runner(model))
        losses = losses_of(model)
        sum_of(losses).backward()
        found.append((ratios(losses), model.student.backbone.conv1.weight.grad))
    assert found[0][0] and not found[1][0]
    torch.testing.assert_close(found[0][1], found[1][1])


@pytest.mark.parametrize('dtype, scale', [(torch.bfloat16, 1.0), (torch.float16, 4096.0)], ids=str)
def test_half_precision(dtype, scale):
    """As in float32 within half precision's rounding, whatever the loss scale; too large a scale is left out."""
    expected = ratios(losses_of(build('retinanet')))
    model = build('retinanet')
    model.gradient_scale = scale
    with half_precision(model, dtype):
        losses = losses_of(model)
    assert ratios(losses) == pytest.approx(expected, rel=0.1)
    sum_of(losses).backward()
    model.gradient_scale = 1e42
    with half_precision(model, dtype):
        assert not ratios(losses_of(model))
