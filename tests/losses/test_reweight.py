"""The weights of the classification part against plain loops: mean, Eq. 5, OHEM, focal."""

import math

import numpy as np
import pytest
import torch

from sssd.errors import UserError
from sssd.losses import OHEM, Focal, Histogram, Reweight, kl_divergence, score_distance
from sssd.registry import LOSSES


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    distance = rng.random(200) ** 3
    distance[:3] = 0.0, 1.0, 0.5
    return rng.random(200) * 4, distance, rng.random(200) < 0.7


def call(reweight, rows):
    divergence, distance, valid = rows
    return reweight(torch.tensor(divergence), torch.tensor(distance), torch.tensor(valid)).numpy()


def bin_of(value, bins):
    return min(int(value * bins), bins - 1)


def eq5(rows, bins):
    """Eq. 5's factor of every row, by counting."""
    _, distance, valid = rows
    counts = [0] * bins
    for value, counted in zip(distance, valid):
        counts[bin_of(value, bins)] += counted
    return np.array(
        [1 / (bins * counts[bin_of(value, bins)]) if counted else 0.0 for value, counted in zip(distance, valid)]
    )


@pytest.mark.parametrize('bins', [1, 7, 30])
def test_eq_5(rows, bins):
    np.testing.assert_allclose(call(Histogram(bins=bins), rows), eq5(rows, bins), rtol=1e-12)


def test_the_edges_of_the_bins():
    distance = torch.tensor([0.0, 0.25, 0.4999, 0.5, 1.0])
    ones = torch.ones(5)
    weights = Histogram(bins=4)(ones, distance, ones.bool())
    torch.testing.assert_close(weights, torch.tensor([1.0, 0.5, 0.5, 1.0, 1.0]) / 4)


def test_all_rows_in_one_bin_give_their_mean_over_m():
    divergence = torch.rand(50)
    weights = Histogram(bins=10)(divergence, torch.full((50,), 0.33), torch.ones(50, dtype=torch.bool))
    torch.testing.assert_close((weights * divergence).sum(), divergence.mean() / 10)


@pytest.mark.parametrize('reweight', [Reweight(), Histogram(), Histogram(momentum=0.5), OHEM(), Focal()])
def test_no_rows_and_no_valid_rows(reweight):
    nothing = torch.zeros(0)
    assert reweight(nothing, nothing, nothing.bool()).shape == (0,)
    weights = reweight(torch.rand(6), torch.rand(6), torch.zeros(6, dtype=torch.bool))
    assert torch.equal(weights, torch.zeros(6))


@pytest.mark.parametrize('kind', ['Mean', 'Histogram', 'OHEM', 'Focal'])
def test_invalid_rows_neither_count_nor_weigh(rows, kind):
    divergence, distance, valid = rows
    with_noise = call(LOSSES.build(dict(type=kind)), rows)
    alone = call(LOSSES.build(dict(type=kind)), (divergence[valid], distance[valid], valid[valid]))
    np.testing.assert_allclose(with_noise[valid], alone, rtol=1e-12)
    assert (with_noise[~valid] == 0).all() and (alone > 0).any()


@pytest.mark.parametrize('reweight', [Reweight(), Histogram(), OHEM(ratio=0.5), Focal()])
def test_weights_carry_no_gradient(reweight):
    divergence = torch.rand(5, requires_grad=True)
    distance = torch.rand(5, requires_grad=True)
    assert not reweight(divergence, distance, torch.ones(5, dtype=torch.bool)).requires_grad


def test_momentum_averages_the_counts_of_bins_in_use():
    bins, momentum = 4, 0.75
    histogram = Histogram(bins=bins, momentum=momentum)
    running = [None] * bins
    rng = np.random.default_rng(2)
    batches = [rng.random(20), rng.random(20) * 0.5, rng.random(9) * 0.2, rng.random(30)]
    for distance in batches:
        counts = [sum(bin_of(value, bins) == index for value in distance) for index in range(bins)]
        for index, count in enumerate(counts):
            if count:
                old = running[index]
                running[index] = count if old is None else momentum * old + (1 - momentum) * count
        expected = [1 / (bins * running[bin_of(value, bins)]) for value in distance]
        ours = call(histogram, (np.ones_like(distance), distance, np.ones(len(distance), bool)))
        np.testing.assert_allclose(ours, expected, rtol=1e-6)


@pytest.mark.parametrize('activation, classes, factor', [('sigmoid', 1, 1), ('sigmoid', 3, 1), ('softmax', 4, 2)])
def test_the_summed_gradient_of_a_bin_is_linear_in_g(activation, classes, factor):
    """Fig. 4: over a bin, sum |dL/dz| is the bin's mean g over M, however many rows it holds."""
    bins, rng = 8, torch.Generator().manual_seed(0)
    target = torch.randn(3000, classes, generator=rng, dtype=torch.double) * 2 - 2
    shift = torch.randn(3000, classes, generator=rng, dtype=torch.double) * 2
    if activation == 'sigmoid':  # one class differs much, so that g stays below the 1 that it is clipped at
        shift[:, 1:] /= 100
    pred = (target + shift).requires_grad_()
    gap = score_distance(target, pred.detach(), activation)
    divergence = kl_divergence(target, pred, activation)
    (Histogram(bins=bins)(divergence, gap, torch.ones(3000, dtype=torch.bool)) * divergence).sum().backward()
    magnitude = pred.grad.abs().sum(1)
    index = (gap * bins).long().clamp(max=bins - 1)
    sizes = index.bincount(minlength=bins)
    assert gap.max() < 1 and sizes.min() > 0 and sizes.max() > 10 * sizes.min()
    for number in range(bins):
        inside = index == number
        assert math.isclose(magnitude[inside].sum(), factor * gap[inside].mean() / bins, rel_tol=1e-9)


def test_the_mean_does_not_have_that_property():
    gap = torch.tensor([0.05] * 90 + [0.95] * 10)
    weights = Reweight()(gap, gap, torch.ones(100, dtype=torch.bool))
    assert (weights * gap)[:90].sum() > 0.4 * (weights * gap)[90:].sum()
    torch.testing.assert_close(weights, torch.full((100,), 0.01))


@pytest.mark.parametrize('ratio', [0.01, 0.1, 1.0])
def test_ohem_keeps_the_hardest_valid_rows(rows, ratio):
    divergence, _, valid = rows
    count = max(1, math.ceil(valid.sum() * ratio))
    hardest = sorted((i for i in range(200) if valid[i]), key=lambda i: -divergence[i])[:count]
    expected = np.zeros(200)
    expected[hardest] = 1 / count
    np.testing.assert_allclose(call(OHEM(ratio=ratio), rows), expected)


def test_ohem_keeps_as_many_rows_when_divergences_tie():
    weights = OHEM(ratio=0.2)(torch.zeros(10), torch.zeros(10), torch.tensor([False] * 5 + [True] * 5))
    assert weights[:5].sum() == 0 and sorted(weights[5:].tolist()) == [0, 0, 0, 0, 1]


@pytest.mark.parametrize('gamma', [0.0, 1.0, 2.0])
def test_focal_weights(rows, gamma):
    _, distance, valid = rows
    total = sum(g**gamma for g, counted in zip(distance, valid) if counted)
    expected = [g**gamma / total if counted else 0 for g, counted in zip(distance, valid)]
    np.testing.assert_allclose(call(Focal(gamma=gamma), rows), expected, rtol=1e-12)


@pytest.mark.parametrize(
    'config, words',
    [
        (dict(type='Histogram', bins=0), 'bins is 0'),
        (dict(type='Histogram', momentum=1.0), 'momentum is 1.0'),
        (dict(type='OHEM', ratio=0), 'ratio is 0'),
    ],
)
def test_impossible_options(config, words):
    with pytest.raises(UserError, match=words):
        LOSSES.build(config)
