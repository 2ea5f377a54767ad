"""The files that docs/extend.md shows: each does a real step, and what its page says of it holds."""

import importlib.util

import guided
import pytest
import tiny
import torch

from sssd.losses.reweight import Mean


@pytest.fixture
def example(repo_root):
    def load(name):
        spec = importlib.util.spec_from_file_location(f'example_{name}', repo_root / f'docs/examples/{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(autouse=True)
def registered_once():
    """What an example registers goes again, so that another test may load it anew."""
    from sssd.registry import LOSSES, MODELS, VIEWS

    before = {registry: dict(registry._module_dict) for registry in (LOSSES, MODELS, VIEWS)}
    yield
    for registry, modules in before.items():
        registry._module_dict.clear()
        registry._module_dict.update(modules)


def test_a_weight_of_ones_own(example):
    weight = example('power_weight').PowerWeight(power=1.0)
    divergence, valid = torch.ones(4), torch.tensor([True, True, True, False])
    assert torch.allclose(
        weight(divergence, torch.tensor([0.1, 0.2, 0.1, 0.9]), valid), torch.tensor([0.25, 0.5, 0.25, 0])
    )
    plain = type(weight)(power=0.0)
    distance = torch.rand(4, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(plain(divergence, distance, valid), Mean()(divergence, distance, valid))
    loss = dict(type='SoftLoss', reweight=dict(type='PowerWeight', power=0.5))
    model = tiny.build_sed(tiny.retinanet(), scale_loss=loss, distill_loss=loss)
    losses = model.train_step(tiny.make_batch(), tiny.sgd(model))
    assert all(torch.isfinite(value).all() for value in losses.values())


def test_a_view_of_ones_own(example):
    example('coarse_view')
    batch = tiny.make_batch()
    valid = {}
    for view in ('CoarseView', 'DenseView'):
        model = tiny.build_sed(tiny.retinanet(), views=[dict(type=view, head='bbox_head')])
        seen = []
        model.views[0].distill_pair = _seen(model.views[0].distill_pair, seen)
        losses = model.train_step(batch, tiny.sgd(model))
        assert all(torch.isfinite(value).all() for value in losses.values())
        valid[view] = seen[0].valid.view(-1, sum(seen[0].levels))
    finest = seen[0].levels[0]
    assert not valid['CoarseView'][:, :finest].any() and valid['DenseView'][:, :finest].any()
    assert torch.equal(valid['CoarseView'][:, finest:], valid['DenseView'][:, finest:])


def _seen(pair, seen):
    def call(*args):
        rows = pair(*args)
        seen.append(rows[0])
        return rows

    return call


def test_a_guide_of_ones_own(example):
    example('class_guide')
    model = guided.build(tiny.retinanet(), guide=dict(type='ClassGuide'))
    before = model.guidance.guide.vectors.weight.detach().clone()
    losses = model.train_step(guided.batch((*tiny.BOXES, ())), tiny.sgd(model))
    assert all(torch.isfinite(value).all() for value in losses.values())
    moved = (model.guidance.guide.vectors.weight != before).any(1)
    assert moved[: tiny.CLASSES].all()
