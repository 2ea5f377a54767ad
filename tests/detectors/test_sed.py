"""SED as a whole: real optimisation steps of real detectors, teacher and student, Eq. 1."""

import copy

import pytest
import tiny
import torch
from mmengine.hooks import Hook
from mmengine.runner import load_checkpoint

from sssd.detectors import SED
from sssd.detectors.sed import shrink
from sssd.errors import UserError
from sssd.hooks import EMATeacherHook, LambdaScheduleHook, ScaleDrawHook
from sssd.losses.totals import sum_of
from sssd.registry import MODELS

DETECTORS = {**tiny.DETECTORS, **tiny.OTHERS}
KINDS = sorted(DETECTORS)
NO_BOXES = ((), ())
UNSUPERVISED = dict(
    retinanet=['bbox'], fcos=['bbox'], faster_rcnn=['rpn', 'roi'], detr=['query'], c4=['rpn', 'roi'], dc5=['rpn', 'roi']
)


class Gradients(Hook):
    """Records, for every optimizer step, which parameters of the student got a gradient, and the losses."""

    def __init__(self):
        self.names, self.losses = set(), []

    def before_train(self, runner):
        for name, parameter in runner.model.named_parameters():
            if parameter.requires_grad:
                parameter.register_post_accumulate_grad_hook(lambda _, name=name: self.names.add(name))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append(outputs)


def train(kind, work_dir, batches, hooks=(), accumulate=1, **options):
    """Train in a Runner with the hooks of SED; the model before, after, and what was recorded."""
    record = Gradients()
    runner = tiny.make_runner(
        tiny.sed_config(DETECTORS[kind](), **options),
        batches,
        work_dir,
        len(batches),
        accumulate=accumulate,
        lr=0.01,
        hooks=[record, EMATeacherHook(alpha=0.9), *hooks],
    )
    runner.model.init_weights()
    before = tiny.state_of(runner.model)
    runner.train()
    return before, runner.model, record


def check_step(before, model, record):
    """Finite losses, every parameter that trains was used, the student moved and the teacher followed."""
    assert all(torch.isfinite(value).all() for losses in record.losses for value in losses.values())
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert record.names == trained and all(name.startswith('student.') for name in trained)
    after = model.state_dict()
    for part in ('student.', 'teacher.'):
        assert any(not torch.equal(after[name], before[name]) for name in before if name.startswith(part))
    assert all(value.isfinite().all() for value in after.values())


def names_of(kind, *losses):
    return {f'{view}_loss_{loss}_{part}' for view in UNSUPERVISED[kind] for loss in losses for part in ('cls', 'bbox')}


def unsupervised(losses):
    return {name for name in losses if '_loss_scale_' in name or '_loss_distill_' in name}


@pytest.mark.parametrize('kind', KINDS)
def test_steps_of_every_kind(kind, tmp_path):
    """An ordinary batch, one with an image without objects, and one without any box."""
    batches = [
        tiny.make_batch(seed=i, boxes=boxes) for i, boxes in enumerate((tiny.BOXES, (tiny.BOXES[0], ()), NO_BOXES))
    ]
    before, model, record = train(kind, tmp_path, batches)
    check_step(before, model, record)
    assert all(unsupervised(losses) == names_of(kind, 'scale', 'distill') for losses in record.losses)
    assert all(losses[name] > 0 for losses in record.losses for name in names_of(kind, 'scale', 'distill'))


@pytest.mark.parametrize('kind', KINDS)
def test_a_first_step_without_any_box_uses_every_parameter(kind, tmp_path):
    check_step(*train(kind, tmp_path, [tiny.make_batch(boxes=NO_BOXES)]))


@pytest.mark.parametrize('kind', KINDS)
def test_gradient_accumulation(kind, tmp_path):
    check_step(*train(kind, tmp_path, [tiny.make_batch(seed=i) for i in range(2)], accumulate=2))


@pytest.mark.parametrize('kind', KINDS)
def test_s_up_to_2(kind, tmp_path):
    hook = ScaleDrawHook(max_shift=2)
    before, model, record = train(kind, tmp_path, [tiny.make_batch(seed=i) for i in range(4)], hooks=[hook])
    check_step(before, model, record)
    assert model.shift in (1, 2)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize(
    'lambda_s, lambda_d, left, needed',
    [
        (0.0, 1.0, ['distill'], ['student', 'teacher']),
        (1.0, 0.0, ['scale'], ['student', 'student']),
        (0.0, 0.0, [], []),
    ],
)
def test_lambdas_of_zero_cost_nothing(kind, lambda_s, lambda_d, left, needed, tmp_path, monkeypatch):
    hook = LambdaScheduleHook(lambda_s=lambda_s, lambda_d=lambda_d)
    passes, run = [], SED.run

    def counted(self, detector, *args):
        passes.append('student' if detector is self.student else 'teacher')
        return run(self, detector, *args)

    monkeypatch.setattr(SED, 'run', counted)
    before, model, record = train(kind, tmp_path, [tiny.make_batch()], hooks=[hook])
    check_step(before, model, record)
    assert unsupervised(record.losses[0]) == names_of(kind, *left)
    assert passes == needed


@pytest.mark.parametrize('kind', KINDS)
def test_a_batch_of_labels_alone(kind, tmp_path):
    before, model, record = train(kind, tmp_path, [tiny.make_batch(branches=False)])
    check_step(before, model, record)
    assert not unsupervised(record.losses[0])


@pytest.mark.parametrize('kind', KINDS)
def test_teacher_is_student_at_the_start_and_stays_evaluated(kind):
    model = tiny.build_sed(DETECTORS[kind]())
    student, teacher = model.student.state_dict(), model.teacher.state_dict()
    assert student.keys() == teacher.keys() and all(torch.equal(student[name], teacher[name]) for name in student)
    assert not any(a.data_ptr() == b.data_ptr() for a, b in zip(model.student.parameters(), model.teacher.parameters()))
    assert model.train() is model
    assert not any(module.training for module in model.teacher.modules()) and model.student.training
    assert not any(parameter.requires_grad for parameter in model.teacher.parameters())
    model.eval()
    assert not any(module.training for module in model.modules())


def test_the_detectors_config_is_left_as_it_was():
    """FCOS takes the type out of the config of its last layer."""
    config = tiny.fcos(cls_predictor_cfg=dict(type='NormedConv2d'))
    before = copy.deepcopy(config)
    MODELS.build(dict(type='sssd.SED', detector=config))
    assert config == before


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('noise', [0, 60])
def test_equal_weights_on_equal_pixels_have_no_distillation_loss(kind, noise):
    """Also for an FCOS whose evaluated head multiplies its boxes by the stride."""
    losses = tiny.losses_of(tiny.build_sed(DETECTORS[kind]()), tiny.make_batch(strong_noise=noise))
    rounding = 1e-7 if kind == 'detr' else 0  # PyTorch's attention has another kernel in evaluation
    for name in names_of(kind, 'distill'):
        assert losses[name] <= rounding if noise == 0 else losses[name] > rounding


def test_every_term_of_eq_1_is_weighted_once():
    """Twice as many unlabelled images as labelled ones, lambda_s 3, lambda_d 5."""
    batch = tiny.make_batch(unlabelled=4)
    plain = tiny.losses_of(tiny.build_sed(tiny.retinanet()), tiny.make_batch(unlabelled=4))
    weighted = tiny.losses_of(tiny.build_sed(tiny.retinanet(), lambda_s=3.0, lambda_d=5.0), batch)
    for part in ('cls', 'bbox'):
        for kind, weight in (('scale', 3), ('distill', 5)):
            name = f'bbox_loss_{kind}_{part}'
            torch.testing.assert_close(weighted[name], weight * plain[name])
    model = tiny.build_sed(tiny.retinanet())
    data = model.data_preprocessor(batch, True)
    alone, _ = model.unsupervised_losses(data['inputs'], data['data_samples'])
    for name, term in alone.items():
        torch.testing.assert_close(plain[name], 2 * term)


def test_the_supervised_part_is_the_detectors_own_loss():
    model = tiny.build_sed(tiny.retinanet())
    data = model.data_preprocessor(tiny.make_batch(), True)
    own = model.student.loss(data['inputs']['sup'], data['data_samples']['sup'])
    ours = tiny.losses_of(model, tiny.make_batch())
    for name, terms in own.items():
        assert all(torch.equal(a, b) for a, b in zip(terms, ours[f'sup_{name}']))


def test_the_share_of_confident_rows_and_of_the_unsupervised_part_are_logged():
    model = tiny.build_sed(tiny.retinanet())
    torch.nn.init.constant_(model.teacher.bbox_head.retina_cls.bias, 3.0)
    losses = tiny.losses_of(model, tiny.make_batch())
    assert losses['bbox_teacher_above_half'] > 0.99
    terms = sum(losses[name] for name in unsupervised(losses))
    supervised = sum(term for name, parts in losses.items() if name.startswith('sup_') for term in parts)
    torch.testing.assert_close(losses['unsup_over_sup'], (terms / supervised).detach())


@pytest.mark.parametrize('scale_view, branch', [('strong', 'unsup_student'), ('weak', 'unsup_teacher')])
def test_which_view_is_x_in_eq_2(scale_view, branch):
    model = tiny.build_sed(tiny.retinanet(), scale_view=scale_view, lambda_d=0.0)
    data = model.data_preprocessor(tiny.make_batch(strong_noise=60), True)
    losses, _ = model.unsupervised_losses(data['inputs'], data['data_samples'])
    images, samples = data['inputs'][branch], data['data_samples'][branch]
    full = model.run(model.student, images, samples)
    small = model.run(model.student, shrink(images, 1), samples, 2)
    expected = model.scale_losses[model.views[0].name].scale(*model.views[0].scale_pair(full, small, 1))
    torch.testing.assert_close([losses['bbox_loss_scale_cls'], losses['bbox_loss_scale_bbox']], list(expected))


@pytest.mark.parametrize('kind', ['retinanet', 'faster_rcnn'])
@pytest.mark.parametrize(
    'options, needed',
    [
        (dict(scale_view='weak'), [('student', 1), ('student', 2)]),
        (dict(scale_target='teacher'), [('student', 2), ('teacher', 1)]),
    ],
)
def test_eq_2_alone_runs_what_it_compares(options, needed, kind, monkeypatch):
    passes, run = [], SED.run

    def counted(self, detector, inputs, samples, factor=1, *args):
        passes.append(('student' if detector is self.student else 'teacher', factor))
        return run(self, detector, inputs, samples, factor, *args)

    monkeypatch.setattr(SED, 'run', counted)
    model = tiny.build_sed(DETECTORS[kind](), lambda_d=0.0, **options)
    data = model.data_preprocessor(tiny.make_batch(), True)
    losses = model.loss(data['inputs'], data['data_samples'])
    sum_of(losses).backward()
    assert passes == needed
    assert any(value.grad is not None and value.grad.abs().max() > 0 for value in model.student.parameters())


@pytest.mark.parametrize('kind', ['retinanet', 'faster_rcnn'])
@pytest.mark.parametrize('target', ['full', 'teacher'])
def test_the_small_view_alone_learns_in_eq_2(target, kind):
    model = tiny.build_sed(DETECTORS[kind](), scale_target=target, lambda_d=0.0, backward='joint')
    for value in model.teacher.parameters():
        value.add_(0.02 * torch.randn_like(value))
    data = model.data_preprocessor(tiny.make_batch(strong_noise=60), True)
    losses, _ = model.unsupervised_losses(data['inputs'], data['data_samples'])
    branch, by = dict(full=('unsup_student', model.student), teacher=('unsup_teacher', model.teacher))[target]
    images, samples = data['inputs'], data['data_samples']
    full = model.run(copy.deepcopy(by).requires_grad_(False), images[branch], samples[branch])
    small = model.run(model.student, shrink(images['unsup_student'], 1), samples['unsup_student'], 2)
    parameters, expected = list(model.student.parameters()), {}
    for view in model.views:
        terms = model.scale_losses[view.name].scale(*view.scale_pair(full, small, 1))
        expected |= {f'{view.name}_loss_scale_{part}': term for part, term in zip(('cls', 'bbox'), terms)}
    torch.testing.assert_close({name: losses[name] for name in expected}, expected)
    found, wanted = (
        torch.autograd.grad(sum(terms.values()), parameters, allow_unused=True) for terms in (losses, expected)
    )
    torch.testing.assert_close([one for one in found if one is not None], [one for one in wanted if one is not None])
    assert any(one is not None and one.abs().max() > 0 for one in found)


def test_a_pass_at_half_size_has_images_of_half_size():
    model = tiny.build_sed(tiny.retinanet())
    data = model.data_preprocessor(tiny.make_batch(size=(50, 75)), True)
    run = model.run(model.student, shrink(data['inputs']['unsup_student'], 1), data['data_samples']['unsup_student'], 2)
    assert run.metas[0]['img_shape'] == (25, 37.5) and run.batch_shape == (32, 48)
    assert data['data_samples']['unsup_student'][0].img_shape == (50, 75)


@pytest.mark.parametrize('predict_on', ['teacher', 'student'])
def test_predictions_come_from_the_model_asked_for(predict_on):
    model = tiny.build_sed(tiny.retinanet(), semi_test_cfg=dict(predict_on=predict_on)).eval()
    torch.nn.init.constant_(getattr(model, predict_on).bbox_head.retina_cls.bias, 3.0)
    (result,) = model.predict(torch.randn(1, 3, 64, 96), [tiny.sample((64, 96))])
    assert result.pred_instances.scores.max() > 0.9


@pytest.mark.parametrize('kind', ['retinanet', 'faster_rcnn'])
def test_training_may_start_from_a_plain_detector(kind, tmp_path):
    """`load_from` a checkpoint of mmdet's, as a detector that one has already: both become that detector."""
    plain = tiny.build_sed(DETECTORS[kind](), seed=1).student
    torch.save(dict(state_dict=plain.state_dict(), meta={}), tmp_path / 'plain.pth')
    model = tiny.build_sed(DETECTORS[kind]())
    before = tiny.state_of(model.student)
    load_checkpoint(model, str(tmp_path / 'plain.pth'), map_location='cpu', strict=True)
    for part in (model.student, model.teacher):
        loaded = part.state_dict()
        assert all(torch.equal(loaded[name], value) for name, value in plain.state_dict().items())
    assert any(not torch.equal(before[name], value) for name, value in plain.state_dict().items())


@pytest.mark.parametrize('size', [(56, 80), (64, 160)], ids=['padded alike', 'padded otherwise'])
@pytest.mark.parametrize('make', [tiny.retinanet, tiny.detr])
def test_views_of_different_sizes_are_refused(make, size):
    """Padding may hide it, and queries have boxes over the size of their image."""
    model, batch = tiny.build_sed(make()), tiny.make_batch()
    other = tiny.make_batch(size=size)
    for part in ('inputs', 'data_samples'):
        batch[part]['unsup_teacher'] = other[part]['unsup_teacher']
    with pytest.raises(UserError, match='SED: a weak view has .* so they do not pair: draw sizes before MultiBranch'):
        tiny.losses_of(model, batch)
    model.lambda_d = 0.0  # Eq. 2 has no need of the weak view
    assert tiny.losses_of(model, batch)
