"""The guided wrapper around RetinaNet, FCOS and Faster R-CNN."""
import guided
import pytest
import tiny
import torch
from torch import nn

from sssd.detectors.shared_targets import SharedTargets, on_features
from sssd.errors import UserError

BATCHES = dict(mixed=(*tiny.BOXES, ()), empty=((), ()))
NAMES = sorted(tiny.DETECTORS)


class Identity(nn.Module):
    """A guide whose features are the student's."""

    def forward(self, features, labels):
        return [level.clone() for level in features]


@pytest.fixture(params=NAMES)
def model(request):
    return guided.build(tiny.DETECTORS[request.param]())


@pytest.mark.parametrize('boxes', sorted(BATCHES))
def test_a_real_step_moves_every_part(model, boxes):
    before = tiny.state_of(model)
    wrapper = tiny.sgd(model, lr=0.01)
    losses = model.train_step(guided.batch(BATCHES[boxes]), wrapper)
    assert all(torch.isfinite(value).all() for value in losses.values())
    moved = {name.split('.')[0] + '.' + name.split('.')[1] for name, value in model.state_dict().items()
             if not torch.equal(value, before[name])}
    heads = {part for part in ('detector.bbox_head', 'detector.rpn_head', 'detector.roi_head')
             if hasattr(model.detector, part.split('.')[1])}
    expected = heads | {'detector.backbone', 'detector.neck', 'adapter.0', 'guide.refine'}
    assert expected <= moved
    assert boxes == 'empty' or {'guide.encode', 'guide.appearance', 'guide.attention'} <= moved


def test_both_passes_have_the_same_targets(model):
    """On equal features the guide's losses are the student's to the last bit, random samplers or not."""
    model.guide = Identity()
    losses = tiny.losses_of(model, guided.batch(BATCHES['mixed']))
    names = [name for name in losses if f'guide_{name}' in losses]
    assert len(names) >= 2 and any('cls' in name for name in names) and any('bbox' in name for name in names)
    for name in names:
        for mine, theirs in zip(*(value if isinstance(value, list) else [value]
                                  for value in (losses[name], losses[f'guide_{name}']))):
            assert torch.equal(mine, theirs)


def test_without_sharing_random_samplers_differ():
    """So the test above can fail."""
    model = guided.build(tiny.faster_rcnn())
    data = model.data_preprocessor(guided.batch(), True)
    with on_features(model.detector, model.extract_feat(data['inputs'])):
        first, second = (model.detector.loss(data['inputs'], data['data_samples']) for _ in range(2))
    assert first['loss_cls'] != second['loss_cls']


def test_targets_are_assigned_once_and_nothing_is_left_behind(model):
    calls, detector = [], model.detector
    head = getattr(detector, 'rpn_head', None) or detector.bbox_head

    def counted(original):
        def call(self, *args, **kwargs):
            calls.append(1)
            return original(self, *args, **kwargs)
        return call
    kind = type(head)
    head.__class__ = type('Counted', (kind,), dict(get_targets=counted(kind.get_targets)))
    tiny.losses_of(model, guided.batch())
    head.__class__ = kind
    assert len(calls) == 1
    owners = [owner for owner, _ in SharedTargets(detector).methods]
    assert len(owners) == (1 if hasattr(detector, 'bbox_head') else 3)
    assert all({'get_targets', 'sample', 'extract_feat'}.isdisjoint(vars(owner)) for owner in [detector, *owners])


def gradients_of_the_distance(model):
    """Largest gradient of L_distill alone in each part; None where there is none."""
    losses = tiny.losses_of(model, guided.batch())
    losses['loss_distill'].backward()

    def largest(part):
        found = [value.grad.abs().max().item() for value in part.parameters() if value.grad is not None]
        return max(found) if found else None
    return {name: largest(part) for name, part in dict(
        student=model.detector, guide=model.guide, adapter=model.adapter).items()}


def test_the_distance_moves_the_student_and_never_the_guide(model):
    found = gradients_of_the_distance(model)
    assert found['student'] > 0 and found['adapter'] > 0 and found['guide'] is None


def test_refusals():
    with pytest.raises(UserError, match='RetinaNet has no dense head over a pyramid'):
        guided.build({**tiny.retinanet(), 'neck': None})
    with pytest.raises(UserError, match="predict_on is 'teacher'"):
        guided.build(tiny.retinanet(), predict_on='teacher')
    other = nn.Module()
    other.bbox_head = nn.Linear(1, 1)
    with pytest.raises(UserError, match='Linear assigns its targets by itself'):
        SharedTargets(other)
