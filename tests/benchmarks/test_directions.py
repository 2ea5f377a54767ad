"""benchmarks/directions.py: gradients of the terms of SED beside that of the labels of the same images."""

import itertools

import pytest
import tiny
import torch
from mmengine.config import Config


@pytest.fixture(scope='module')
def directions(load_benchmark):
    """The script as a module."""
    return load_benchmark('directions')


@pytest.fixture
def labelled_batch():
    """A batch whose unlabelled images carry boxes."""
    batch = tiny.make_batch(strong_noise=60)
    samples = batch['data_samples']
    samples['unsup_student'] = samples['sup']
    return batch


def model_of(kind):
    model = tiny.build_sed(tiny.DETECTORS[kind]())
    for value in model.teacher.parameters():
        value.add_(0.02 * torch.randn_like(value))
    return model


@pytest.mark.parametrize('kind', ['retinanet', 'faster_rcnn'])
def test_what_x_and_the_small_view_learn_is_the_gradient_of_eq_2(directions, labelled_batch, kind):
    model = model_of(kind)
    losses = directions.losses_of(Config(dict(model=dict())))
    terms, labels = directions.gradients(model, model.data_preprocessor(labelled_batch, True), losses)
    assert labels.norm() > 0
    for part, reweight in (('cls', 'Mean'), ('cls', 'Histogram'), ('bbox', '-')):
        learns = [terms[f'scale_{which}_learns_{part}', reweight] for which in ('small', 'full')]
        assert all(row.abs().max() > 0 for row in learns)
        torch.testing.assert_close(terms[f'scale_{part}', reweight], sum(learns), rtol=1e-3, atol=1e-6)


def test_figures_of_equal_batches_are_those_of_one(directions, labelled_batch):
    model, losses = model_of('retinanet'), directions.losses_of(Config(dict(model=dict())))
    rows = directions.measure(model, losses, itertools.repeat(labelled_batch), 2)
    assert {row['reweight'] for row in rows} == {*directions.REWEIGHTS, '-'}
    for row in rows:
        assert row['ratio'] >= 0 and abs(row['cosine']) <= 1
        assert row['cosine'] == pytest.approx(row['cosine_of_sums'], abs=2e-3)
