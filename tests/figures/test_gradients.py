"""Gradient by bins of g against NumPy, for every re-weighting."""

import numpy as np
import pytest
import scale_runs
from rows import chances, kl

from sssd.figures.gradients import REWEIGHTS, draw_gradient_shares, gradient_shares
from sssd.figures.style import plt

BINS = 10


def weights_of(name, divergence, distance):
    """Weights of valid rows, as Sec. 3.3 and Table 10 have them."""
    if name == 'Mean':
        return np.full(len(distance), 1 / len(distance))
    if name == 'Focal':
        return distance**2 / (distance**2).sum()
    if name == 'OHEM':
        kept = np.zeros(len(distance))
        kept[np.argsort(-divergence)[: int(np.ceil(len(distance) * 0.01))]] = 1
        return kept / kept.sum()
    index = np.minimum((distance * BINS).astype(int), BINS - 1)
    return 1 / (BINS * np.bincount(index, minlength=BINS)[index])


def expected(pair, name):
    """Sum of |dL / dz| for each bin of g, both directions: dKL / dz is p - p'."""
    total, rows = np.zeros(BINS), np.zeros(BINS)
    for target, pred in (pair, pair[::-1]):
        valid = pair[0].valid.numpy()
        p, q = chances(target)[valid], chances(pred)[valid]
        gap = abs(p - q).sum(1)
        distance = gap / 2 if target.activation == 'softmax' else gap.clip(max=1)
        divergence = np.array([kl(a, b, target.activation) for a, b in zip(p, q)])
        index = np.minimum((distance * BINS).astype(int), BINS - 1)
        total += np.bincount(index, weights_of(name, divergence, distance) * gap, minlength=BINS)
        rows += np.bincount(index, minlength=BINS) / 2
    return total, rows


@pytest.mark.parametrize('name', ['retinanet', 'fcos', 'faster_rcnn'])
def test_against_numpy(name):
    detector, views = scale_runs.build(name)
    runs = [scale_runs.run(detector, seed=seed) for seed in (0, 1)]
    ours = gradient_shares(runs, views, 1, BINS)
    assert ours['images'] == 4 and ours['batches'] == 2 and list(ours['views']) == [view.name for view in views]
    for view in views:
        pairs = [view.scale_pair(run.full, run.small, 1) for run in runs]
        found = ours['views'][view.name]
        for reweight in REWEIGHTS:
            totals, rows = zip(*(expected(pair, reweight) for pair in pairs))
            gradient = sum(totals) / 2
            np.testing.assert_allclose(found['rows'], sum(rows) / 4)
            np.testing.assert_allclose(found['reweight'][reweight]['gradient'], gradient, rtol=1e-3, atol=1e-7)
            np.testing.assert_allclose(
                found['reweight'][reweight]['share'], gradient / gradient.sum(), rtol=1e-3, atol=1e-6
            )
    assert sum(count > 0 for count in found['rows']) > 1


def test_eq_5_makes_the_contribution_linear_in_g():
    detector, views = scale_runs.build('retinanet')
    found = gradient_shares([scale_runs.run(detector)], views, 1, BINS, ['Histogram'])['views']['bbox']
    used = [place for place, count in enumerate(found['rows']) if count]
    gradient = np.array(found['reweight']['Histogram']['gradient'])
    assert len(used) > 2
    for place in used:  # between the bin's edges, for two directions, each over M
        assert 2 * place / BINS**2 <= gradient[place] * (1 + 1e-5)
        assert gradient[place] <= 2 * (place + 1) / BINS**2 * (1 + 1e-5) or place == BINS - 1


def test_no_images():
    _, views = scale_runs.build('retinanet')
    ours = gradient_shares([], views, 1, BINS)
    assert all(values['share'] is None for values in ours['views']['bbox']['reweight'].values())
    plt.close(draw_gradient_shares(ours, 'nothing'))
