"""SED's backward pass branch by branch, against the one of all branches at once."""

import copy
from types import SimpleNamespace

import pytest
import tiny
import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper
from torch.multiprocessing.reductions import StorageWeakRef

from sssd.detectors import PseudoLabels
from sssd.detectors.branch_gradients import BranchGradients
from sssd.errors import UserError
from sssd.hooks import RecomputeHook
from sssd.losses import sum_of
from sssd.optim import BFloat16OptimWrapper, Float16OptimWrapper

DETECTORS = {**tiny.DETECTORS, **tiny.OTHERS}


def build(kind, backward, **options):
    """Student and teacher of different weights."""
    model = tiny.build_sed(DETECTORS[kind](), backward=backward, **options)
    torch.manual_seed(7)
    for value in model.teacher.parameters():
        value.data.add_(0.05 * value.abs().mean() * torch.randn_like(value))
    return model


def trained(kind, backward, steps=3, wrapper=OptimWrapper, batch=None, accumulate=1, prepare=None, **options):
    """Weights before and after some steps, and their losses; what is sampled at random is the same every time."""
    more = {name: options.pop(name) for name in ('loss_scale',) if name in options}
    model = build(kind, backward, **options)
    if prepare:
        prepare(model)
    before = tiny.state_of(model)
    optimizer = torch.optim.SGD([value for value in model.parameters() if value.requires_grad], lr=0.02, momentum=0.9)
    runs = wrapper(optimizer=optimizer, accumulative_counts=accumulate, clip_grad=dict(max_norm=5.0), **more)
    runs.initialize_count_status(model, 0, steps)
    torch.manual_seed(3)
    batches = [copy.deepcopy(batch or tiny.make_batch(seed=step, unlabelled=3)) for step in range(steps)]
    logs = [model.train_step(one, runs) for one in batches]
    return before, tiny.state_of(model), [{name: value.detach() for name, value in log.items()} for log in logs]


def assert_equal(kind, rtol=1e-4, atol=2e-6, way='branch', **options):
    """Branch by branch and all at once lead to the same weights, and log the same."""
    (_, found, logs), (before, expected, others) = (trained(kind, how, **options) for how in (way, 'joint'))
    gaps = [(value - before[name]).abs().max() for name, value in expected.items() if name.startswith('student.')]
    assert max(gaps) > 1e-3
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=rtol, atol=atol, msg=name)
    for mine, theirs in zip(logs, others):
        assert list(mine) == list(theirs)
        for name in theirs:
            torch.testing.assert_close(mine[name], theirs[name], rtol=rtol, atol=1e-5, msg=name)


@pytest.mark.parametrize('way', ['branch', 'lean'])
@pytest.mark.parametrize('kind', sorted(DETECTORS))
def test_weights_after_three_steps_are_equal(kind, way):
    assert_equal(kind, way=way)


@pytest.mark.parametrize('kind', sorted(tiny.DETECTORS))
def test_with_guidance(kind):
    assert_equal(kind, guidance=dict(lambda_=2.0))


@pytest.mark.parametrize('kind', sorted(DETECTORS))
def test_with_pseudo_labels(kind, monkeypatch):
    sure_of(monkeypatch)
    assert_equal(kind, pseudo_labels=dict(), lambda_p=2.0)
    assert_equal(kind, steps=2, pseudo_labels=dict(), lambda_d=0.0, way='lean')


def sure_of(monkeypatch):
    """Have the teacher be sure of one box in the first image, two in the second, none in the last."""

    def labels(self, inputs, samples, weak):
        made = [tiny.sample((64, 96), boxes) for boxes in (tiny.BOXES[0][:1], tiny.BOXES[0][1:], ())]
        for sample, given in zip(made, samples):
            sample.set_metainfo(given.metainfo)
            sample.ignored_instances = sample.gt_instances[:0]
        return made

    monkeypatch.setattr(PseudoLabels, 'labels', labels)


def frozen(*parts):
    """Something that freezes parts of a student."""

    def prepare(model):
        for value in (value for part in parts for value in getattr(model.student, part).parameters()):
            value.requires_grad = False

    return prepare


def recomputed(model):
    RecomputeHook().before_train(SimpleNamespace(model=model))


@pytest.mark.parametrize(
    'options',
    [
        dict(scale_view='weak'),
        dict(scale_view='weak', scale_target='full'),
        dict(scale_target='full', way='lean'),
        dict(scale_target='teacher'),
        dict(scale_target='teacher', lambda_d=0.0),
        dict(lambda_s=0.0),
        dict(lambda_d=0.0),
        dict(accumulate=2),
        dict(prepare=recomputed),
        dict(prepare=recomputed, way='lean'),
        dict(prepare=frozen('backbone', 'neck'), way='lean'),
        dict(prepare=frozen('backbone')),
        dict(prepare=frozen('backbone', 'neck')),
        dict(batch=tiny.make_batch(branches=False)),
        dict(batch=tiny.make_batch(boxes=((), ()))),
    ],
    ids=[
        'weak',
        'weak as target',
        'target',
        'teacher',
        'teacher alone',
        'distill',
        'scale',
        'accumulation',
        'recomputed',
        'both',
        'lean heads',
        'backbone',
        'heads',
        'labels',
        'no boxes',
    ],
)
def test_options_of_a_training(options):
    assert_equal('retinanet', **options)


@pytest.mark.parametrize('kind, loss_scale', [('retinanet', 2.0**10), ('faster_rcnn', 2.0**10), ('detr', 16.0)])
def test_half_precision(kind, loss_scale):
    """Sums are rounded to half precision in another order."""
    assert_equal(kind, steps=1, rtol=0.05, atol=2e-4, wrapper=BFloat16OptimWrapper)
    assert_equal(kind, way='lean', steps=1, rtol=0.02, atol=1e-4, wrapper=Float16OptimWrapper, loss_scale=loss_scale)


def test_float16_gradients_are_scaled_before_they_are_computed():
    """A loss so small that most gradients are 0 in float16, unless they are scaled; without a scale nothing is cut."""
    model = build('retinanet', 'branch', lambda_s=1e-6, lambda_d=1e-6)
    data = model.data_preprocessor(tiny.make_batch(), True)

    def gradient(by_branch):
        model.zero_grad()
        total = sum(model.unsupervised_losses(data['inputs'], data['data_samples'], by_branch)[0].values())
        (total if by_branch is None else by_branch.carried(total)).backward()
        return torch.cat([value.grad.flatten() for value in model.student.neck.parameters()])

    expected = gradient(None)
    scaled = Float16OptimWrapper(optimizer=tiny.sgd(model).optimizer, loss_scale=2.0**20)
    with scaled.optim_context(model):
        assert model.loss_scale == 2**20
        found = gradient(model.branch_gradients())
    assert model.loss_scale is None
    assert torch.cosine_similarity(found, expected, dim=0) > 0.99
    with torch.autocast('cpu', torch.float16):
        assert model.branch_gradients() is None
        lost = gradient(BranchGradients(list(model.student.parameters())))
    assert torch.cosine_similarity(lost, expected, dim=0) < 0.9


def measured(kind, way, parts=(), scale=None, **options):
    """Norms and cosines of one forward pass that measures, and the gradient of the training."""
    model = build(kind, way, lambda_s=0.7, lambda_d=3.0, **options)
    model.measure_gradients, model.measured_parts, model.loss_scale = True, parts, scale
    assert (model.branch_gradients() is None) == (way == 'joint')
    torch.manual_seed(3)
    sum_of(tiny.losses_of(model, tiny.make_batch(unlabelled=3))).backward()
    figures = [model.gradient_norms, model.gradient_cosines]
    return [{name: float(value) for name, value in row.items()} for row in figures], gradients_of(model)


def gradients_of(model):
    return {name: value.grad for name, value in model.student.named_parameters()}


@pytest.mark.parametrize('kind', sorted(DETECTORS))
def test_what_is_measured_branch_by_branch_is_what_one_backward_pass_measures(kind):
    options = dict(guidance=dict(lambda_=2.0)) if kind in tiny.DETECTORS else {}
    (norms, cosines), _ = measured(kind, 'branch', **options)
    (expected, angles), _ = measured(kind, 'joint', **options)
    assert norms == pytest.approx(expected, rel=1e-3) and min(norms.values()) > 1e-5
    assert cosines == pytest.approx(angles, abs=2e-3)


@pytest.mark.parametrize('kind', sorted(DETECTORS))
def test_so_it_is_with_pseudo_labels(kind, monkeypatch):
    sure_of(monkeypatch)
    (norms, cosines), _ = measured(kind, 'branch', pseudo_labels=dict(), lambda_p=2.0)
    (expected, angles), _ = measured(kind, 'joint', pseudo_labels=dict(), lambda_p=2.0)
    assert norms == pytest.approx(expected, rel=1e-3) and norms['pseudo'] > 1e-5
    assert cosines == pytest.approx(angles, abs=2e-3)


@pytest.mark.parametrize('way, scale', [('lean', None), ('branch', torch.tensor(512.0))])
@pytest.mark.parametrize('parts', [(), ('backbone', 'neck'), ('roi_head',)], ids=['neck', 'body', 'head'])
def test_so_it_is_with_other_parts_a_loss_scale_and_lean(way, scale, parts):
    (norms, cosines), _ = measured('faster_rcnn', way, parts, scale)
    (expected, angles), _ = measured('faster_rcnn', 'joint', parts)
    assert norms == pytest.approx(expected, rel=1e-3) and cosines == pytest.approx(angles, abs=2e-3)


def test_measured_with_one_branch_off():
    for weights in (dict(lambda_s=0.0), dict(lambda_d=0.0)):
        found = []
        for way in ('branch', 'joint'):
            model = build('retinanet', way, **weights)
            model.measure_gradients = True
            tiny.losses_of(model, tiny.make_batch())
            found.append({name: float(value) for name, value in model.gradient_norms.items()})
        assert found[0] == pytest.approx(found[1], rel=1e-3) and len(found[0]) == 2


@pytest.mark.parametrize('kind', sorted(tiny.DETECTORS))
def test_measuring_leaves_the_training_as_it_is_bit_by_bit(kind):
    kept = []
    for measure in (False, True):
        model = build(kind, 'branch')
        model.measure_gradients = measure
        torch.manual_seed(3)
        sum_of(tiny.losses_of(model, tiny.make_batch(unlabelled=3))).backward()
        kept.append((gradients_of(model), torch.rand(1).item()))
    (plain, draw), (found, other) = kept
    assert draw == other
    for name, value in plain.items():
        assert (value is None and found[name] is None) or torch.equal(value, found[name]), name


def test_mmdet_s_own_checkpointing_has_one_backward_pass():
    """PyTorch's reentrant kind refuses any other."""
    config = tiny.retinanet()
    config['backbone']['with_cp'] = True
    model = tiny.build_sed(config)
    assert model.branch_gradients() is None
    sum_of(tiny.losses_of(model, tiny.make_batch())).backward()
    assert all(value.grad is not None for value in model.student.parameters())


def test_transformers_that_checkpoint_no_layer_go_branch_by_branch():
    """mmdet's DETR says so by num_cp=-1."""
    model = build('detr', 'branch')
    assert any(getattr(part, 'num_cp', 0) == -1 for part in model.student.modules())
    assert model.branch_gradients() is not None


def test_batch_norm_counts_every_image_once():
    """X^ goes through the backbone twice, and into the running statistics once."""
    states = []
    for backward in ('lean', 'joint'):
        config = tiny.retinanet()
        config['backbone']['norm_cfg'] = dict(type='BN')
        model = tiny.build_sed(config, backward=backward)
        model.train_step(tiny.make_batch(), tiny.sgd(model, lr=0.0))
        states.append({name: value for name, value in tiny.state_of(model.student).items() if 'running' in name})
    assert states[0]
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name], msg=name)


def test_dropout_is_the_same_when_a_pass_is_computed_again():
    """Its masks belong to the pass."""
    states = []
    for backward in ('lean', 'joint'):
        model = tiny.build_sed(tiny.retinanet(), backward=backward, lambda_d=0.0)
        model.student.backbone.layer4.append(torch.nn.Dropout(0.5))
        torch.manual_seed(0)
        model.train_step(tiny.make_batch(), tiny.sgd(model))
        states.append(tiny.state_of(model.student))
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name], rtol=1e-4, atol=2e-6, msg=name)


def test_what_is_carried_is_differentiated_once():
    losses = tiny.losses_of(build('retinanet', 'branch'), tiny.make_batch())
    total = sum_of(losses)
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="backward='joint' to keep the graph"):
        total.backward()


def test_gradients_that_share_an_array_are_added_to_once():
    """Autograd gives both sides of a sum one array, and one number for all of a tensor that is summed up."""
    first, second, third = (torch.nn.Parameter(torch.rand(3)) for _ in range(3))
    gradients = BranchGradients([first, second, third])
    for factor in (1.0, 2.0):
        gradients.add(((first + second) * torch.arange(3) * factor).sum() + third.sum())
    (0.5 * gradients.carried(torch.tensor(7.0))).backward()
    for value in (first, second):
        assert torch.equal(value.grad, 1.5 * torch.arange(3))
    assert torch.equal(third.grad, torch.ones(3))


@pytest.mark.parametrize('join', [torch.cat, torch.stack], ids=['cat', 'stack'])
def test_gradients_of_the_parts_of_an_array_that_is_another_s_gradient(join):
    """And none of them keeps the whole array."""
    parts = [torch.nn.Parameter(torch.rand(3)) for _ in range(2)]
    whole = torch.nn.Parameter(torch.rand(join(parts).shape))
    gradients = BranchGradients([whole, *parts])
    weight = torch.arange(6.0).view(whole.shape)
    for factor in (1.0, 2.0):
        gradients.add(((whole + join(parts)) * weight * factor).sum())
    assert [value.untyped_storage().nbytes() for value in gradients.found] == [4 * 6, 4 * 3, 4 * 3]
    (0.5 * gradients.carried(torch.tensor(7.0))).backward()
    expected = 1.5 * weight
    assert torch.equal(whole.grad, expected)
    assert torch.equal(torch.cat([value.grad for value in parts]), expected.flatten())


class NoGradient(torch.autograd.Function):
    """A value that has no gradient to give."""

    @staticmethod
    def forward(ctx, value):
        return value.clone()

    @staticmethod
    def backward(ctx, grad_output):
        return None


def test_a_pass_that_gives_a_parameter_no_gradient():
    weight, other = torch.nn.Parameter(torch.rand(3)), torch.nn.Parameter(torch.rand(3))
    gradients = BranchGradients([weight, other])
    gradients.add((weight * other).sum())
    gradients.add((NoGradient.apply(2 * weight) * other).sum())
    gradients.carried(torch.tensor(0.0)).backward()
    torch.testing.assert_close(weight.grad, other.detach())
    torch.testing.assert_close(other.grad, 3 * weight.detach())


def test_gradients_of_two_passes_are_never_there_at_once():
    """Nor are those of the labels and those that are carried to them: each is added as soon as it comes."""
    size = 512
    weights = [torch.nn.Parameter(torch.rand(size, size) / size) for _ in range(8)]

    def through(value):
        """A pass through all of them."""
        for weight in weights:
            value = F.linear(value, weight)
        return value.sum()

    gradients = BranchGradients(weights)
    all_of_them = sum(weight.nbytes for weight in weights)
    assert peak(lambda: gradients.add(through(torch.ones(2, size)))) > all_of_them
    assert peak(lambda: gradients.add(through(torch.ones(2, size)))) < 0.3 * all_of_them
    images = torch.ones(2, size, requires_grad=True)
    labels = through(images)
    total = labels + gradients.carried(torch.tensor(0.0))
    operators, order = set(), []
    weights[-1].register_post_accumulate_grad_hook(lambda _: order.append('last layer'))
    images.register_hook(lambda _: order.append('images'))
    assert peak(total.backward, operators) < 0.3 * all_of_them
    assert 'aten::add_' in operators and 'aten::add' not in operators  # in place
    assert order == ['last layer', 'images'], 'gradients of layers can be reduced while others are computed'
    expected = torch.autograd.grad(through(images), weights)
    for weight, one in zip(weights, expected):
        torch.testing.assert_close(weight.grad, 3 * one)


def test_gradients_of_heads_are_ready_before_those_of_the_backbone_are_computed():
    """So DistributedDataParallel reduces the ones while the others are computed."""
    model, order = build('retinanet', 'branch'), []
    model.student.bbox_head.retina_cls.weight.register_post_accumulate_grad_hook(lambda _: order.append('head'))

    def watch(neck, inputs):
        """Note when the gradient of what the neck gets has come."""
        inputs[0][-1].register_hook(lambda _: order.append('features'))

    note = model.student.neck.register_forward_pre_hook(watch)
    total = sum_of(tiny.losses_of(model, tiny.make_batch()))
    note.remove()
    order.clear()  # those of the unlabelled branch
    total.backward()
    assert order == ['head', 'features']


def test_features_go_as_soon_as_no_head_needs_them():
    """Only their gradients are waited for."""
    weight = torch.nn.Parameter(torch.rand(3))
    gradients = BranchGradients([weight])
    level = weight * torch.arange(3)
    storage = StorageWeakRef(level.untyped_storage())
    (features,) = gradients.cut((level,))
    loss = (features * features).sum()
    del level
    assert torch.equal(features.detach(), weight * torch.arange(3)) and not storage.expired()
    del features
    gradients.add(loss)
    assert storage.expired()
    gradients.finish()
    gradients.carried(torch.tensor(0.0)).backward()
    torch.testing.assert_close(weight.grad, 2 * weight.detach() * torch.arange(3) ** 2)


def test_a_head_s_gradient_for_one_pass_after_the_other():
    """The gradients of a large weight for two passes, and their sum, are not there at once."""
    weight = torch.nn.Parameter(torch.rand(512, 512))
    size = 4 * weight.numel()
    peaks, found = [], []
    for apart in (False, True):
        gradients = BranchGradients([weight])
        first, second = (F.linear(torch.ones(2, 512) * value, weight) for value in (1.0, 2.0))

        def add(gradients=gradients, first=first, second=second, apart=apart):
            if apart:
                (second,) = gradients.cut_rows(second)
            gradients.add((first * second).sum())

        peaks.append(peak(add))
        weight.grad = None
        gradients.carried(torch.tensor(0.0)).backward()
        found.append(weight.grad)
    assert peaks[0] > 2.9 * size and peaks[1] < 2.1 * size
    torch.testing.assert_close(*found)


def peak(call, operators=None):
    """Most bytes of a call's tensors at once; the names of its operators are put into ``operators``."""
    with torch.profiler.profile(profile_memory=True) as profiler:
        call()
    held = most = 0
    for event in profiler.profiler.kineto_results.events():
        if operators is not None:
            operators.add(event.name())
        if event.name() == '[memory]':
            held += event.nbytes()
            most = max(most, held)
    return most


def test_branch_by_branch_needs_less_memory():
    """Images so large that activations are far more than weights."""
    peaks = {}
    for backward in ('joint', 'branch', 'lean'):
        model = build('retinanet', backward)
        data = model.data_preprocessor(tiny.make_batch(size=(384, 576), boxes=(tiny.BOXES[0],), unlabelled=1), True)
        peaks[backward] = peak(lambda: sum_of(model.loss(data['inputs'], data['data_samples'])).backward())  # noqa: B023
    assert peaks['lean'] < peaks['branch'] < 0.75 * peaks['joint']


def test_an_unknown_way_is_refused():
    with pytest.raises(UserError, match="SED: backward is 'both'; use branch"):
        tiny.build_sed(tiny.retinanet(), backward='both')
