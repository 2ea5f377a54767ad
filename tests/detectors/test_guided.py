"""The guided wrapper around RetinaNet, FCOS and Faster R-CNN."""

import copy

import guided
import pytest
import tiny
import torch
from mmengine.hub import get_config
from torch import nn

from sssd.detectors.shared_targets import SharedTargets, on_features, targets_of
from sssd.errors import UserError
from sssd.guides import box_labels

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
    moved = {
        '.'.join(name.removeprefix('guidance.').split('.')[:2])
        for name, value in model.state_dict().items()
        if not torch.equal(value, before[name])
    }
    heads = {
        part
        for part in ('detector.bbox_head', 'detector.rpn_head', 'detector.roi_head')
        if hasattr(model.detector, part.split('.')[1])
    }
    expected = heads | {'detector.backbone', 'detector.neck', 'adapter.0', 'guide.refine'}
    assert expected <= moved
    label_side = {'guide.encode', 'guide.appearance', 'guide.attention', 'guide.box_projection'}
    assert boxes == 'empty' or label_side <= moved


@pytest.mark.parametrize(
    'boxes, options', [('mixed', {}), ('empty', {}), ('mixed', dict(lambda_=0.0, student_grad=0.0))]
)
def test_every_parameter_has_a_gradient(model, boxes, options):
    for name, value in options.items():
        setattr(model, name, value)
    total, _ = model.parse_losses(tiny.losses_of(model, guided.batch(BATCHES[boxes])))
    total.backward()
    assert [name for name, value in model.named_parameters() if value.grad is None] == []
    assert all(torch.isfinite(value.grad).all() for value in model.parameters())


def same_losses(model):
    """Which of the guide's losses are the student's to the last bit, if the guide's features are the student's."""
    model.guidance.guide = Identity()
    losses = tiny.losses_of(model, guided.batch(BATCHES['mixed']))
    names = [name for name in losses if f'guide_{name}' in losses]
    assert len(names) >= 2 and any('cls' in name for name in names) and any('bbox' in name for name in names)

    def parts(name):
        return losses[name] if isinstance(losses[name], list) else [losses[name]]

    return {
        name: all(torch.equal(mine, theirs) for mine, theirs in zip(parts(name), parts(f'guide_{name}')))
        for name in names
    }


def test_both_passes_may_have_the_same_targets(model):
    """Random samplers or not."""
    model.guidance.shared_targets = True
    assert all(same_losses(model).values())


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('shared', [None, False])
def test_a_second_stage_samples_anew_for_the_guide_unless_told_otherwise(name, shared):
    """As LGD's public code does; where nothing is drawn, as in one stage, targets assigned anew are the same."""
    found = same_losses(guided.build(tiny.DETECTORS[name](), shared_targets=shared))
    assert all(found.values()) == (name != 'faster_rcnn')
    if name == 'faster_rcnn':
        assert not found['loss_rpn_cls']


def test_the_guide_s_features_have_proposals_of_their_own():
    """The guide's terms are the detector's losses on k_e, RPN, proposals and sampling included."""
    model = guided.build(tiny.faster_rcnn())
    data = model.data_preprocessor(guided.batch(BATCHES['mixed']), True)
    torch.manual_seed(2)
    found = model.loss(data['inputs'], data['data_samples'])
    torch.manual_seed(2)
    features = model.extract_feat(data['inputs'])
    guided_features = model.guidance.guide(features, box_labels(data['data_samples']))
    for prefix, level in (('', features), ('guide_', guided_features)):
        with on_features(model.detector, level):
            expected = model.detector.loss(data['inputs'], data['data_samples'])
        for key, value in expected.items():
            torch.testing.assert_close(found[prefix + key], value, rtol=0, atol=0)


def test_without_sharing_random_samplers_differ():
    """So the test above can fail."""
    model = guided.build(tiny.faster_rcnn())
    data = model.data_preprocessor(guided.batch(), True)
    with on_features(model.detector, model.extract_feat(data['inputs'])):
        first, second = (model.detector.loss(data['inputs'], data['data_samples']) for _ in range(2))
    assert sum(first['loss_rpn_cls']) != sum(second['loss_rpn_cls'])


@pytest.mark.parametrize('shared', [None, True, False])
def test_how_often_targets_are_assigned_and_that_nothing_is_left_behind(model, shared):
    model.guidance.shared_targets = shared
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
    once = shared if shared is not None else not hasattr(detector, 'roi_head')
    assert len(calls) == (1 if once else 2)
    owners = [owner for owner, _ in SharedTargets(detector).methods]
    assert len(owners) == (1 if hasattr(detector, 'bbox_head') else 3)
    assert all({'get_targets', 'sample', 'extract_feat'}.isdisjoint(vars(owner)) for owner in [detector, *owners])


def test_a_head_that_assigns_by_itself_may_be_guided_if_nothing_is_shared():
    """YOLOX assigns within its loss, by its predictions."""
    detector = get_config('mmdet::yolox/yolox_tiny_8xb8-300e_coco.py').model.to_dict()
    detector.pop('data_preprocessor')
    detector['backbone'].update(deepen_factor=0.33, widen_factor=0.125)
    detector['neck'].update(in_channels=[32, 64, 128], out_channels=32)
    detector['bbox_head'].update(num_classes=tiny.CLASSES, in_channels=32, feat_channels=32)
    with pytest.raises(UserError, match='YOLOXHead assigns its targets by itself.*set shared_targets=False'):
        guided.build(detector)
    model = guided.build(detector, shared_targets=False)
    total, log = model.parse_losses(tiny.losses_of(model, guided.batch(BATCHES['mixed'])))
    total.backward()
    assert {'loss_obj', 'guide_loss_obj', 'loss_distill'} <= set(log) and torch.isfinite(total)
    assert all(value.grad is not None for value in model.guidance.parameters())


def test_a_failing_pass_leaves_nothing_behind():
    detector = guided.build(tiny.retinanet()).detector
    targets = SharedTargets(detector)
    with pytest.raises(ZeroDivisionError), targets.recorded(), on_features(detector, ()):
        assert 'extract_feat' in vars(detector) and 'get_targets' in vars(detector.bbox_head)
        raise ZeroDivisionError
    assert 'extract_feat' not in vars(detector) and 'get_targets' not in vars(detector.bbox_head)


def gradients_of_the_distance(model):
    """Largest gradient of L_distill alone in each part; None where there is none."""
    losses = tiny.losses_of(model, guided.batch())
    losses['loss_distill'].backward()

    def largest(part):
        found = [value.grad.abs().max().item() for value in part.parameters() if value.grad is not None]
        return max(found) if found else None

    return {
        name: largest(part)
        for name, part in dict(
            student=model.detector, guide=model.guidance.guide, adapter=model.guidance.adapter
        ).items()
    }


def test_the_distance_moves_the_student_and_never_the_guide(model):
    found = gradients_of_the_distance(model)
    assert found['student'] > 0 and found['adapter'] > 0 and found['guide'] is None


def test_a_detached_student_leaves_the_distance_to_the_adapter(model):
    model.student_grad = 0.0
    found = gradients_of_the_distance(model)
    assert found['student'] is None and found['adapter'] > 0 and found['guide'] is None


def test_lambda_weighs_the_distance_and_the_share_is_of_the_whole():
    model = guided.build(tiny.fcos())
    for model.lambda_ in (0.0, 2.0, 75.0):
        losses = tiny.losses_of(model, guided.batch())
        torch.testing.assert_close(losses['loss_distill'], model.lambda_ * losses['distill_distance'])
        total, logged = model.parse_losses(losses)
        torch.testing.assert_close(losses['distill_share'], (losses['loss_distill'] / total).detach())
        assert {'distill_share', 'distill_distance', 'guide_loss_cls', 'loss_cls'} <= set(logged)
    assert 0.01 < losses['distill_share'] < 0.99 and losses['distill_distance'] > 1e-4


@pytest.mark.parametrize('distance', [dict(kind='mse'), dict(kind='kl'), dict(kind='js', root='cell')], ids=str)
def test_lgd_and_others_are_options(distance):
    model = guided.build(
        tiny.retinanet(), distance=distance, lambda_=1.0, guide=dict(context=True, detach=True, query='label')
    )
    total, _ = model.parse_losses(tiny.losses_of(model, guided.batch(BATCHES['mixed'])))
    total.backward()
    assert all(value.grad is not None and torch.isfinite(value.grad).all() for value in model.parameters())


def detections(model, data):
    model.eval()
    with torch.no_grad():
        out = model(**model.data_preprocessor(copy.deepcopy(data), False), mode='predict')
    return [(sample.pred_instances.bboxes, sample.pred_instances.scores) for sample in out]


def test_inference_is_the_plain_detector(model):
    plain = model.detector
    found = detections(model, guided.batch())
    alone = plain.eval()
    data = model.data_preprocessor(guided.batch(), False)
    with torch.no_grad():
        expected = alone.predict(data['inputs'], data['data_samples'])
    for (boxes, scores), sample in zip(found, expected):
        assert torch.equal(boxes, sample.pred_instances.bboxes)
        assert torch.equal(scores, sample.pred_instances.scores)


def test_inference_does_not_run_the_label_side():
    model = guided.build(tiny.retinanet())
    model.guidance = None
    assert len(detections(model, guided.batch())) == 2


def test_the_label_guided_teacher_sees_the_labels():
    model = guided.build(tiny.retinanet(), predict_on='guide')
    model.detector.bbox_head.test_cfg['score_thr'] = 0.0
    first = detections(model, guided.batch())
    data = guided.batch()
    data['data_samples'][0].gt_instances = data['data_samples'][0].gt_instances[:1]
    second = detections(model, data)
    assert not torch.equal(first[0][1], second[0][1])
    torch.testing.assert_close(first[1][1], second[1][1])
    del data['data_samples'][0].gt_instances
    with pytest.raises(UserError, match='needs the labels'):
        detections(model, data)
    with pytest.raises(UserError, match='needs the labels'):
        model.loss(data['inputs'], data['data_samples'])


def test_channels_classes_and_strides_come_from_the_detector():
    found = {name: guided.build(make()).guidance.guide for name, make in tiny.DETECTORS.items()}
    strides = [(stride, stride) for stride in (4, 8, 16, 32, 64)]
    assert found['faster_rcnn'].strides == strides and found['retinanet'].strides == strides[1:]
    assert {guide.num_classes for guide in found.values()} == {tiny.CLASSES}
    assert {guide.refine[0].in_channels for guide in found.values()} == {32}


def test_a_head_that_only_inherits_get_targets_is_told_at_the_first_step():
    """FreeAnchor's loss looks at bags of anchors and never asks it, so nothing would be shared."""
    detector = tiny.retinanet(type='FreeAnchorRetinaHead')
    for key in ('loss_cls', 'loss_bbox'):
        detector['bbox_head'].pop(key)
    model = guided.build(detector)
    with pytest.raises(UserError, match='FreeAnchorRetinaHead assigns its targets by itself.*set shared_targets=False'):
        tiny.losses_of(model, guided.batch(BATCHES['mixed']))
    losses = tiny.losses_of(guided.build(detector, shared_targets=False), guided.batch(BATCHES['mixed']))
    assert torch.isfinite(losses['guide_positive_bag_loss'])


def test_refusals():
    with pytest.raises(UserError, match='RetinaNet has no dense head over a pyramid'):
        guided.build({**tiny.retinanet(), 'neck': None})
    with pytest.raises(UserError, match="predict_on is 'teacher'"):
        guided.build(tiny.retinanet(), predict_on='teacher')
    other = nn.Module()
    other.bbox_head = nn.Linear(1, 1)
    with pytest.raises(UserError, match='Linear assigns its targets by itself.*set shared_targets=False'):
        targets_of(other, None)
    with targets_of(other, False).recorded():
        pass
