"""Distances of feature pyramids against NumPy in double precision."""

import numpy as np
import pytest
import torch

from sssd.errors import UserError
from sssd.losses import FeatureDistance, fused
from sssd.losses.feature_distances import instance_normalise, js_elements, js_root_sum, js_root_sum_of, log_distribution

AXES = dict(channels=1, space=(2, 3), map=(1, 2, 3))
OVERS, ROOTS = sorted(AXES), ['element', 'cell', 'level']
SHAPES = [(2, 6, 5, 4), (2, 6, 3, 2)]


def pyramid(seed, scale=2.0):
    rng = np.random.default_rng(seed)
    return [rng.normal(0, scale, shape) for shape in SHAPES]


def tensors(maps, **options):
    return [torch.tensor(level, dtype=torch.float32, **options) for level in maps]


def normalised(features):
    mean, std = features.mean((2, 3), keepdims=True), np.sqrt(features.var((2, 3), keepdims=True) + 1e-5)
    return (features - mean) / std


def softmax(features, over):
    raised = np.exp(features - features.max(AXES[over], keepdims=True))
    return raised / raised.sum(AXES[over], keepdims=True)


def kl(p, q):
    return p * np.log(p / q)


def reference(kind, over, root, student, teacher):
    """The definitions of the docstring, level by level."""
    total = 0
    for mine, theirs in zip(map(normalised, student), map(normalised, teacher)):
        if kind == 'mse':
            total += ((mine - theirs) ** 2).sum()
            continue
        p, q = softmax(mine, over), softmax(theirs, over)
        if kind == 'kl':
            total += kl(q, p).sum()
            continue
        middle = (p + q) / 2
        elements = (kl(p, middle) + kl(q, middle)) / 2
        divergences = elements.sum(AXES[over])
        assert elements.min() > -1e-15 and divergences.max() < np.log(2)
        total += dict(
            element=np.sqrt(elements.clip(0)).sum(),
            cell=np.sqrt(divergences).sum(),
            level=np.sqrt(divergences.mean()) * divergences.size,
        )[root]
    return total / sum(level.size for level in student)


@pytest.mark.parametrize('over', OVERS)
@pytest.mark.parametrize('kind, root', [('mse', 'element'), ('kl', 'element'), *(('js', root) for root in ROOTS)])
def test_against_numpy(kind, over, root):
    student, teacher = pyramid(0), pyramid(1)
    expected = reference(kind, over, root, student, teacher)
    ours = FeatureDistance(kind, over, root)(tensors(student), tensors(teacher))
    assert ours.item() == pytest.approx(expected, rel=2e-5) and expected > 1e-4


def test_js_is_the_default_and_symmetric_and_kl_is_not():
    student, teacher = tensors(pyramid(0)), tensors(pyramid(1))
    assert FeatureDistance()(student, teacher) == FeatureDistance('js', 'channels', 'element')(student, teacher)
    torch.testing.assert_close(FeatureDistance()(student, teacher), FeatureDistance()(teacher, student))
    divergence = FeatureDistance('kl')
    assert abs(divergence(student, teacher) - divergence(teacher, student)) > 1e-4


def test_the_default_of_normalise_takes_scale_and_shift_away():
    student, teacher = tensors(pyramid(0)), tensors(pyramid(1))
    moved = [5 * level + 3 for level in student]
    torch.testing.assert_close(
        FeatureDistance()(moved, teacher), FeatureDistance()(student, teacher), rtol=1e-4, atol=0
    )
    plain = FeatureDistance(normalise=False)
    assert abs(plain(moved, teacher) - plain(student, teacher)) > 1e-2


@pytest.mark.parametrize('over', OVERS)
@pytest.mark.parametrize('root', ROOTS)
def test_js_is_bounded_by_sqrt_ln_2(over, root):
    """Opposite one-hot maps: every divergence is ln 2, and the distance no more than its root."""
    student, teacher = torch.full((1, 2, 1, 2), -200.0), torch.full((1, 2, 1, 2), -200.0)
    student[0, 0, 0, 0], teacher[0, 1, 0, 1] = 200.0, 200.0
    distance = FeatureDistance('js', over, root, normalise=False)([student], [teacher]).item()
    assert 0 < distance <= np.sqrt(np.log(2)) + 1e-6
    elements = js_elements(log_distribution(teacher, 'map'), log_distribution(student, 'map'))
    assert elements.sum().item() == pytest.approx(np.log(2), rel=1e-6)


@pytest.mark.parametrize('over', OVERS)
@pytest.mark.parametrize('root', ROOTS)
def test_equal_maps_are_at_distance_zero_with_a_finite_gradient(over, root):
    student = tensors(pyramid(0), requires_grad=True)
    distance = FeatureDistance('js', over, root)(student, [level.detach().clone() for level in student])
    distance.backward()
    assert distance == 0 and all(torch.isfinite(level.grad).all() for level in student)


@pytest.mark.parametrize('kind', ['js', 'kl', 'mse'])
def test_gradient_of_close_and_of_far_maps(kind):
    """Finite everywhere, downhill, and none for the teacher."""
    for scale in (1e-3, 1.0, 50.0):
        student = tensors(pyramid(0), requires_grad=True)
        noise = tensors(pyramid(1, scale))
        teacher = [(level.detach() + more).requires_grad_() for level, more in zip(student, noise)]
        measure = FeatureDistance(kind, normalise=False)
        before = measure(student, teacher)
        before.backward()
        assert all(level.grad is None for level in teacher)
        assert all(torch.isfinite(level.grad).all() for level in student)
        size = sum(level.grad.square().sum() for level in student).sqrt()
        step = 1e-3 * scale / size
        after = measure([level - step * level.grad for level in student], teacher)
        assert size > 0 and after < before


@pytest.mark.parametrize('root', ROOTS)
def test_js_gradient_against_finite_differences(root):
    torch.manual_seed(0)
    student, teacher = torch.randn(1, 3, 2, 2, dtype=torch.double), torch.randn(1, 3, 2, 2, dtype=torch.double)

    def distance(value):
        parts = js_elements(log_distribution(teacher, 'channels'), log_distribution(value, 'channels'))
        return js_root_sum(parts, 'channels', root)

    assert torch.autograd.gradcheck(distance, student.requires_grad_())


@pytest.mark.parametrize('gap', [1e-2, 0.1, 1.0])
def test_js_gradient_in_float_is_that_in_double(gap):
    """Nearly equal elements must not cancel under the root."""
    torch.manual_seed(0)
    first = torch.randn(2, 64, 12, 12, dtype=torch.double)
    second = first + gap * torch.randn_like(first)

    def gradient(dtype):
        value = first.to(dtype, copy=True).requires_grad_()
        parts = js_elements(*(log_distribution(level, 'channels') for level in (second.to(dtype), value)))
        js_root_sum(parts, 'channels', 'element').backward()
        return value.grad.double()

    exact = gradient(torch.double)
    assert (gradient(torch.float) - exact).square().mean().sqrt() < 0.02 * exact.square().mean().sqrt()


@pytest.mark.parametrize('correlation, js, mse', [(0.5, 1.13, 1.00), (0.8, 0.73, 0.40), (0.9, 0.52, 0.20)])
def test_the_calibration_that_the_defaults_were_chosen_by(correlation, js, mse):
    """75 times the JS distance of random 256-channel maps weighs about as LGD's MSE; coarser roots a tenth of it."""
    torch.manual_seed(0)
    student, noise = torch.randn(2, 1, 256, 32, 32)
    teacher = correlation * student + (1 - correlation**2) ** 0.5 * noise
    found = {root: 75 * FeatureDistance(root=root)([student], [teacher]).item() for root in ROOTS}
    assert found['element'] == pytest.approx(js, rel=0.03)
    assert FeatureDistance('mse')([student], [teacher]).item() == pytest.approx(mse, rel=0.03)
    assert found['element'] / found['cell'] == pytest.approx(10, rel=0.25)
    assert found['element'] / found['level'] == pytest.approx(10, rel=0.25)


def test_levels_count_by_their_elements():
    student, teacher = tensors(pyramid(0)), tensors(pyramid(1))
    each = [FeatureDistance()([mine], [theirs]) * mine.numel() for mine, theirs in zip(student, teacher)]
    whole = FeatureDistance()(student, teacher) * sum(level.numel() for level in student)
    torch.testing.assert_close(whole, sum(each))


def test_half_precision_and_maps_of_one_cell():
    student, teacher = tensors(pyramid(0)), tensors(pyramid(1))
    half = FeatureDistance()([level.half() for level in student], [level.half() for level in teacher])
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, FeatureDistance()(student, teacher), rtol=1e-2, atol=0)
    assert torch.equal(instance_normalise(torch.randn(2, 3, 1, 1)), torch.zeros(2, 3, 1, 1))
    assert FeatureDistance()([torch.randn(2, 3, 1, 1)], [torch.randn(2, 3, 1, 1)]) == 0


@pytest.mark.parametrize('option', [dict(kind='l1'), dict(over='pixels'), dict(root='image')])
def test_an_unknown_option_is_named(option):
    ((key, value),) = option.items()
    with pytest.raises(UserError, match=f'{key} is {value!r}; use one of'):
        FeatureDistance(**option)


def one_level(together, dtype, gap, over, root):
    """Value and gradient of the JS distance of a level, from autograd or made together."""
    torch.manual_seed(0)
    first = torch.randn(2, 64, 6, 5, dtype=torch.double)
    second = first + gap * torch.randn_like(first)
    mine, theirs = first.to(dtype, copy=True).requires_grad_(), second.to(dtype)
    if together:
        value = js_root_sum_of(mine, theirs, over, root)
    else:
        value = js_root_sum(js_elements(log_distribution(theirs, over), log_distribution(mine, over)), over, root)
    return value.detach(), *torch.autograd.grad(value, mine)


@pytest.mark.parametrize('gap', [0.0, 0.01, 1.0, 30.0])
@pytest.mark.parametrize('over', OVERS)
@pytest.mark.parametrize('root', ROOTS)
def test_the_gradient_made_with_the_value_is_that_of_autograd(over, root, gap, monkeypatch):
    """In double equal to what the series leaves out; in single as near to that as autograd."""
    monkeypatch.setitem(fused.CHUNK, 'cpu', 200)
    exact = one_level(False, torch.double, gap, over, root)
    mine, single, plain = (
        one_level(how, dtype, gap, over, root)
        for how, dtype in ((True, torch.double), (True, torch.float), (False, torch.float))
    )
    for part in range(2):
        size = exact[part].norm()
        assert (mine[part] - exact[part]).norm() <= 1e-7 * size
        assert (single[part] - exact[part]).norm() <= 2 * (plain[part] - exact[part]).norm() + 1e-5 * size
    assert (exact[1].norm() > 0) == (gap > 0)


@pytest.mark.parametrize('options', [dict(), dict(over='map', root='level'), dict(over='space', root='cell')])
def test_the_whole_distance_either_way(options):
    found = []
    for way in (True, False):
        student, teacher = tensors(pyramid(0), requires_grad=True), tensors(pyramid(1))
        value = FeatureDistance(**options, fused=way)(student, teacher)
        value.backward()
        found.append([value.detach(), *(level.grad for level in student)])
    for mine, plain in zip(*found):
        torch.testing.assert_close(mine, plain, rtol=1e-5, atol=1e-5 * plain.abs().max().item())


def test_distributions_without_mass_on_either_side_have_a_finite_gradient():
    student = torch.tensor([0.0, -300.0, -300.0, 90.0]).view(1, 4, 1, 1).requires_grad_()
    teacher = torch.tensor([-300.0, 0.0, -300.0, -90.0]).view(1, 4, 1, 1)
    value = FeatureDistance(normalise=False)([student], [teacher])
    value.backward()
    assert torch.isfinite(student.grad).all() and torch.isfinite(value) and value > 0
