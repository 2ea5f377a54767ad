"""Divergences and distances against plain NumPy loops in double precision."""

import numpy as np
import pytest
import rows
import torch

from sssd.losses import box_distance, kl_divergence, probabilities, score_distance
from sssd.losses.distances import js_divergence


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    return np.exp(z) / np.exp(z).sum()


def bernoulli_kl(p, q):
    return p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))


def reference_kl(target, pred, activation):
    rows = []
    for t, z in zip(target, pred):
        if activation == 'sigmoid':
            rows.append(sum(bernoulli_kl(sigmoid(a), sigmoid(b)) for a, b in zip(t, z)))
        else:
            p, q = softmax(t), softmax(z)
            rows.append(sum(a * np.log(a / b) for a, b in zip(p, q)))
    return np.array(rows)


def reference_gap(target, pred, activation):
    rows = []
    for t, z in zip(target, pred):
        p, q = (sigmoid(t), sigmoid(z)) if activation == 'sigmoid' else (softmax(t), softmax(z))
        total = sum(abs(a - b) for a, b in zip(p, q))
        rows.append(min(total, 1.0) if activation == 'sigmoid' else total / 2)
    return np.array(rows)


@pytest.fixture
def logits():
    rng = np.random.default_rng(0)
    return rng.normal(0, 3, (40, 5)), rng.normal(0, 3, (40, 5))


@pytest.mark.parametrize('activation', ['sigmoid', 'softmax'])
def test_kl_of_every_row(logits, activation):
    target, pred = logits
    ours = kl_divergence(torch.tensor(target), torch.tensor(pred), activation)
    np.testing.assert_allclose(ours, reference_kl(target, pred, activation), rtol=1e-10)
    swapped = kl_divergence(torch.tensor(pred), torch.tensor(target), activation)
    assert not np.allclose(ours, swapped)


@pytest.mark.parametrize('activation', ['sigmoid', 'softmax'])
def test_score_distance_of_every_row(logits, activation):
    target, pred = logits
    ours = score_distance(torch.tensor(target), torch.tensor(pred), activation).numpy()
    np.testing.assert_allclose(ours, reference_gap(target, pred, activation), rtol=1e-10)
    assert ours.min() >= 0 and ours.max() <= 1
    if activation == 'sigmoid':
        assert (ours == 1).any() and (ours < 1).any()


@pytest.mark.parametrize('activation', ['sigmoid', 'softmax'])
def test_gradient_of_the_divergence_is_the_gap_of_probabilities(logits, activation):
    target, pred = (torch.tensor(values, requires_grad=True) for values in logits)
    kl_divergence(target.detach(), pred, activation).sum().backward()
    expected = probabilities(pred, activation) - probabilities(target, activation)
    torch.testing.assert_close(pred.grad, expected.detach())


@pytest.mark.parametrize('activation', ['sigmoid', 'softmax'])
def test_equal_logits_give_exactly_zero(activation):
    rows = torch.randn(500, 4) * 10
    assert torch.equal(score_distance(rows, rows, activation), torch.zeros(500))
    assert torch.equal(kl_divergence(rows, rows.clone(), activation), torch.zeros(500))


@pytest.mark.parametrize('activation', ['sigmoid', 'softmax'])
def test_confident_and_opposite_logits_stay_finite(activation):
    target = torch.tensor([[200.0, -200.0], [-200.0, 200.0]])
    pred = -target.clone().requires_grad_()
    pred.retain_grad()
    divergence = kl_divergence(target, pred, activation)
    divergence.sum().backward()
    assert torch.isfinite(divergence).all() and (divergence > 100).all()
    assert torch.isfinite(pred.grad).all()


def test_box_distance_is_the_euclidean_norm():
    rng = np.random.default_rng(1)
    target, pred = rng.normal(size=(7, 3, 4)), rng.normal(size=(7, 3, 4))
    expected = [[np.sqrt(sum((a - b) ** 2 for a, b in zip(u, v))) for u, v in zip(x, y)] for x, y in zip(target, pred)]
    np.testing.assert_allclose(box_distance(torch.tensor(target), torch.tensor(pred)), expected)


def test_box_gradient_is_zero_where_boxes_are_equal_and_a_unit_vector_elsewhere():
    target = torch.randn(4, 4)
    pred = target.clone()
    pred[2] += torch.tensor([3.0, 0.0, -4.0, 0.0])
    pred.requires_grad_()
    box_distance(target, pred).sum().backward()
    expected = torch.zeros(4, 4)
    expected[2] = torch.tensor([0.6, 0.0, -0.8, 0.0])
    torch.testing.assert_close(pred.grad, expected)


@pytest.mark.parametrize('activation', ['softmax', 'sigmoid'])
def test_js_divergence_of_rows_and_of_all_their_pairs(activation):
    """Half the divergences from the mean; symmetric; 0 for equal rows; at most ln 2 for a distribution."""
    first, second = torch.randn(5, 4) * 3, torch.randn(7, 4) * 3
    table = js_divergence(first[:, None], second, activation)
    p, q = ((z.sigmoid() if activation == 'sigmoid' else z.softmax(-1)).double().numpy() for z in (first, second))
    for i, j in np.ndindex(5, 7):
        mean = (p[i] + q[j]) / 2
        expected = (rows.kl(p[i], mean, activation) + rows.kl(q[j], mean, activation)) / 2
        np.testing.assert_allclose(table[i, j], expected, atol=2e-6)
    torch.testing.assert_close(table, js_divergence(second[:, None], first, activation).t())
    assert (js_divergence(first, first, activation) == 0).all()
    far = js_divergence(torch.tensor([[90.0, -90.0]]), torch.tensor([[-90.0, 90.0]]), activation)
    np.testing.assert_allclose(far, np.log(2) * (2 if activation == 'sigmoid' else 1), rtol=1e-6)
