"""Losses whose gradient is made with their value, against autograd over the plain equations."""

import pytest
import torch

from sssd.errors import UserError
from sssd.losses import BalancedSoftLoss, SoftLoss, branch_gradients, fused, kl_divergence, score_distance
from sssd.losses.fused import compared_rows
from sssd.views import PredictionView

REWEIGHTS = ['Mean', 'Histogram', 'OHEM', 'Focal']
#: Every way to weigh rows and to make targets: class, options, and whether Eq. 2 is another than with the defaults.
LOSSES = [
    *((SoftLoss, dict(reweight=dict(type=name))) for name in REWEIGHTS),
    (SoftLoss, dict(reweight=dict(type='Histogram', momentum=0.7))),
    (SoftLoss, dict(target='hard', threshold=0.3)),
    (SoftLoss, dict(temperature=0.4)),
    (SoftLoss, dict(levels='sum')),
    (SoftLoss, dict(box_rows='foreground')),
    (SoftLoss, dict(class_boxes='argmax')),
    (BalancedSoftLoss, dict()),
    (BalancedSoftLoss, dict(momentum=0.0, floor=0.1)),
]
ROWS, SPREAD = 90, dict(near=(1.0, 0.1), far=(3.0, 3.0), extreme=(60.0, 40.0))


def views(activation, dtype, spread, rows=ROWS, levels=(30, 10, 5)):
    """Two images of three levels, a third of whose rows are invalid; extreme logits reach +-80 and beyond."""
    rng, columns = torch.Generator().manual_seed(3), 4 + (activation == 'softmax')
    valid = torch.rand(rows, generator=rng) < 0.7
    size, noise = SPREAD[spread]
    first = torch.randn(rows, columns, generator=rng, dtype=torch.double) * size
    second = first + torch.randn(rows, columns, generator=rng, dtype=torch.double) * noise
    boxes = torch.randn(2, rows, 4, 4, generator=rng, dtype=torch.double)
    return [
        PredictionView(
            logits.to(dtype).requires_grad_(), box.to(dtype).requires_grad_(), valid, activation, levels if rows else ()
        )
        for logits, box in zip((first, second), boxes)
    ]


def results(kind, options, activation, dtype, spread, **more):
    """Values and gradients of both equations, called twice, as running counts move."""
    pair, loss, found = views(activation, dtype, spread, **more), kind(**options), []
    for _ in range(2):
        for method in (loss.distill, loss.scale):
            terms = method(*pair)
            inputs = [part for view in pair for part in (view.logits, view.boxes)]
            found += terms
            found += torch.autograd.grad(sum(terms), inputs, allow_unused=True)
    assert found[4] is None  # no gradient for the teacher's logits
    return [value for value in found if value is not None]


def close(mine, plain, tolerance):
    for one, other in zip(mine, plain, strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=0, atol=tolerance * max(other.abs().max().item(), 1e-30))


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Several chunks, the last of which is not full."""
    monkeypatch.setitem(fused.CHUNK, 'cpu', 100)


@pytest.mark.parametrize('spread', sorted(SPREAD))
@pytest.mark.parametrize('activation', ['sigmoid', 'softmax'])
@pytest.mark.parametrize('kind, options', LOSSES, ids=str)
def test_agreement_with_autograd(kind, options, activation, spread):
    for dtype, tolerance in ((torch.double, 1e-9), (torch.float, 1e-5)):
        mine, plain = (results(kind, {**options, 'fused': fused}, activation, dtype, spread) for fused in (True, False))
        assert all(value.abs().max() > 0 and torch.isfinite(value).all() for value in plain)
        close(mine, plain, tolerance)


@pytest.mark.parametrize('activation', ['sigmoid', 'softmax'])
def test_both_directions_at_once_are_the_sum_of_two(activation):
    first, second = (view.logits.detach() for view in views(activation, torch.double, 'far'))
    both = compared_rows(first, second, activation, both=True)
    one, other = compared_rows(first, second, activation), compared_rows(second, first, activation)
    torch.testing.assert_close(both.divergence, one.divergence + other.divergence)
    torch.testing.assert_close(one.divergence, kl_divergence(first, second, activation))
    torch.testing.assert_close(one.distance, score_distance(first, second, activation))
    assert torch.equal(both.gradient, one.gradient) and torch.equal(both.distance, other.distance)
    torch.testing.assert_close(one.gradient, -other.gradient, rtol=0, atol=0)


@pytest.mark.parametrize('size', [0.0, 1.0, 80.0])
@pytest.mark.parametrize('kind, options', LOSSES, ids=str)
@pytest.mark.parametrize('activation', ['sigmoid', 'softmax'])
def test_equal_inputs_give_exactly_zero(kind, options, activation, size):
    if options.get('target') == 'hard' or 'temperature' in options:
        pytest.skip('these targets differ from the predictions they are made of')
    view = views(activation, torch.float, 'near')[0]
    view.logits = (view.logits.detach() * size).requires_grad_()
    other = PredictionView(
        view.logits.detach().clone(), view.boxes.detach().clone(), view.valid, activation, view.levels
    )
    for method in (kind(**options).distill, kind(**options).scale):
        score, _ = method(view, other)
        (grad,) = torch.autograd.grad(score, view.logits)
        assert score == 0 and not grad.any()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('activation', ['sigmoid', 'softmax'])
def test_half_precision_is_summed_in_single(activation, dtype):
    """Values are those of the rounded logits in double; gradients have the logits' precision."""
    half = views(activation, dtype, 'far')
    exact = [
        PredictionView(view.logits.detach().double().requires_grad_(), view.boxes.double(), view.valid, activation)
        for view in half
    ]
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mine, plain = SoftLoss().scale(*half)[0], SoftLoss(fused=False).scale(*exact)[0]
    assert mine.dtype == torch.float
    torch.testing.assert_close(mine.double(), plain, rtol=1e-4, atol=0)
    for view, other in zip(half, exact):
        (grad,), (expected,) = (
            torch.autograd.grad(mine, view.logits, retain_graph=True),
            torch.autograd.grad(plain, other.logits, retain_graph=True),
        )
        assert grad.dtype == dtype
        torch.testing.assert_close(grad.double(), expected, rtol=1e-2, atol=1e-6)


@pytest.mark.parametrize('activation', ['sigmoid', 'softmax'])
def test_without_rows(activation):
    mine = results(SoftLoss, {}, activation, torch.float, 'near', rows=0)
    assert all(not value.any() for value in mine)


def test_a_graph_may_be_differentiated_many_times():
    """As GradientRatioHook does before the backward pass."""
    weight = torch.nn.Parameter(torch.ones(4))
    first, second = views('sigmoid', torch.float, 'far')
    logits = [view.logits.detach() * weight for view in (first, second)]
    pair = [PredictionView(each, view.boxes, view.valid, 'sigmoid') for each, view in zip(logits, (first, second))]
    losses = [SoftLoss().distill(*pair)[0], SoftLoss().scale(*pair)[0]]
    before = branch_gradients(losses, [weight])
    again = branch_gradients(losses, [weight], scale=64.0)
    sum(losses).backward()
    torch.testing.assert_close(before, again)
    torch.testing.assert_close(weight.grad, before.sum(0))
    assert before.abs().min() > 0


def test_second_derivatives_are_refused_by_the_one_and_given_by_the_other():
    pair = views('sigmoid', torch.double, 'far')
    score = SoftLoss(fused=False).distill(*pair)[0]
    (grad,) = torch.autograd.grad(score, pair[0].logits, create_graph=True)
    assert torch.autograd.grad(grad.square().sum(), pair[0].logits)[0].abs().max() > 0
    with pytest.raises(UserError, match='set fused=False'):
        torch.autograd.grad(SoftLoss().distill(*pair)[0], pair[0].logits, create_graph=True)


def test_only_the_side_that_has_a_graph_gets_a_gradient():
    first, second = views('softmax', torch.float, 'far')
    second.logits.requires_grad_(False)
    SoftLoss().scale(first, second)[0].backward()
    assert first.logits.grad.abs().max() > 0 and second.logits.grad is None
