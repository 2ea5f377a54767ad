"""The guided wrapper around RetinaNet, FCOS and Faster R-CNN."""
import guided
import pytest
import tiny
import torch

BATCHES = dict(mixed=(*tiny.BOXES, ()), empty=((), ()))
NAMES = sorted(tiny.DETECTORS)


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
