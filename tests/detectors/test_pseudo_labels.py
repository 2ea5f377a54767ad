"""Pseudo-labels beside SED's soft targets: mmdet's own losses on what the teacher is sure of."""

import copy
from types import SimpleNamespace

import pytest
import tiny
import torch
from mmdet.registry import TASK_UTILS
from mmengine.structures import InstanceData

from sssd.detectors import PseudoLabels
from sssd.detectors.pseudo_labels import ignoring
from sssd.errors import UserError
from sssd.hooks import LambdaScheduleHook

DETECTORS = {**tiny.DETECTORS, **tiny.OTHERS}


def build(kind, **options):
    """Student and teacher of different weights."""
    model = tiny.build_sed(DETECTORS[kind](), pseudo_labels=dict(box_weight=0.5), **options)
    torch.manual_seed(7)
    for value in model.teacher.parameters():
        value.data.add_(0.1 * value.abs().mean() * torch.randn_like(value))
    return model


def set_labels(monkeypatch, boxes):
    """Have the teacher find these boxes (list of lists by image), all surely."""

    def found(self, inputs, samples, weak):
        made = [tiny.sample((64, 96), of, labels=[1] * len(of)) for of in boxes]
        for sample, given in zip(made, samples):
            sample.set_metainfo(given.metainfo)
            sample.ignored_instances = sample.gt_instances[:0]
        return made

    monkeypatch.setattr(PseudoLabels, 'labels', found)


def pseudo_terms(model, batch):
    torch.manual_seed(3)
    losses = tiny.losses_of(model, batch)
    return {name: value.detach() for name, value in losses.items() if '_loss_pseudo_' in name}


def expected_terms(model, batch, boxes, images):
    """The student's own losses on the strong view of some images, made by hand."""
    data = model.data_preprocessor(copy.deepcopy(batch), True)
    samples = [tiny.sample((64, 96), boxes[place], labels=[1] * len(boxes[place])) for place in images]
    for sample, place in zip(samples, images):
        sample.set_metainfo(data['data_samples']['unsup_student'][place].metainfo)
    torch.manual_seed(3)
    losses = model.student.loss(data['inputs']['unsup_student'][images], samples)
    return {
        'unsup_loss_pseudo_' + name.replace('loss_', '', 1): (sum(value) if isinstance(value, list) else value).sum()
        for name, value in losses.items()
        if 'loss' in name
    }


def weight(name):
    return 1.0 if name.endswith('cls') else 0.5


BOXES = [[(8, 8, 40, 40), (30, 20, 90, 60)], [(16, 12, 60, 50)]]


@pytest.mark.parametrize('backward', ['branch', 'joint'])
@pytest.mark.parametrize('kind', sorted(DETECTORS))
def test_terms_are_the_student_s_losses_on_the_teacher_s_boxes(kind, backward, monkeypatch):
    model = build(kind, lambda_s=0.0, lambda_d=0.0, lambda_p=2.0, backward=backward)
    set_labels(monkeypatch, BOXES)
    batch = tiny.make_batch()
    terms = pseudo_terms(model, batch)
    expected = expected_terms(model, batch, BOXES, [0, 1])
    assert terms.keys() == expected.keys() and terms
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], 2.0 * weight(name) * value.detach())


def test_a_detector_whose_terms_are_of_classes_and_boxes_together():
    """FreeAnchor's bags: with the default weight of boxes, all of them would be 0."""
    config = tiny.retinanet(type='FreeAnchorRetinaHead', loss_bbox=dict(type='SmoothL1Loss'))
    model = tiny.build_sed(config, pseudo_labels=dict())
    with pytest.raises(UserError, match=r'box_weight of pseudo_labels is 0, but RetinaNet has no term.*positive_bag'):
        tiny.losses_of(model, tiny.make_batch())
    model = tiny.build_sed(config, pseudo_labels=dict(box_weight=1.0))
    assert 'unsup_loss_pseudo_positive_bag_loss' in tiny.losses_of(model, tiny.make_batch())


def test_the_weight_of_boxes_is_set_while_it_trains(monkeypatch):
    model = build('retinanet', lambda_s=0.0, lambda_d=0.0)
    set_labels(monkeypatch, BOXES)
    batch = tiny.make_batch()
    before = pseudo_terms(model, batch)
    hook, runner = LambdaScheduleHook(pseudo_box_weight=1.5, lambda_p=1.0), SimpleNamespace(model=model)
    hook.before_train(runner)
    model.pseudo_box_weight = 1.5
    after = pseudo_terms(model, batch)
    assert after['unsup_loss_pseudo_bbox'] == pytest.approx(3 * before['unsup_loss_pseudo_bbox'])
    assert after['unsup_loss_pseudo_cls'] == before['unsup_loss_pseudo_cls']
    with pytest.raises(UserError, match="SED has no weight 'pseudo_box_weight'"):
        hook.before_train(SimpleNamespace(model=tiny.build_sed(tiny.retinanet())))


def test_objectness_is_a_part_of_the_score():
    pseudo_labels = tiny.build_sed(tiny.retinanet(), pseudo_labels=dict()).pseudo_labels
    factors = [pseudo_labels.factor(name) for name in ('loss_cls', 'loss_obj', 'loss_bbox', 'loss_centerness')]
    assert factors == [1, 1, 0, 0]


@pytest.mark.parametrize('kind', sorted(tiny.DETECTORS))
def test_an_image_without_a_sure_box_takes_no_part(kind, monkeypatch):
    """It is no background; the others weigh as much as they would beside sure images."""
    model = build(kind, lambda_s=0.0, lambda_d=0.0)
    boxes = [[], BOXES[1]]
    set_labels(monkeypatch, boxes)
    batch = tiny.make_batch()
    terms, expected = pseudo_terms(model, batch), expected_terms(model, batch, boxes, [1])
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], 0.5 * weight(name) * value.detach(), msg=name)


@pytest.mark.parametrize('kind', sorted(DETECTORS))
def test_nothing_sure_is_nothing_learnt(kind, monkeypatch):
    model = build(kind, lambda_s=0.0, lambda_d=0.0)
    set_labels(monkeypatch, BOXES)
    names = pseudo_terms(model, tiny.make_batch()).keys()
    set_labels(monkeypatch, [[], []])
    terms = pseudo_terms(model, tiny.make_batch())
    assert all(value == 0 for value in terms.values()) and terms.keys() <= names

    def gradients(batch):
        model.zero_grad()
        torch.manual_seed(3)
        losses = tiny.losses_of(model, batch)
        sum(value.sum() for name, value in losses.items() if '_loss_pseudo_' in name).backward()
        return [value.grad for value in model.student.parameters() if value.grad is not None]

    assert all(not gradient.any() for gradient in gradients(tiny.make_batch()))


@pytest.mark.parametrize('kind', sorted(DETECTORS))
def test_labels_are_the_teacher_s_detections_above_the_score(kind):
    """In pixels of the batch, found on the weak view, as the teacher's own prediction has them."""
    model = build(kind)
    tiny.keep_all_scores(model.teacher)
    model.pseudo_labels.min_size = 0.0
    data = model.data_preprocessor(tiny.make_batch(), True)
    inputs, samples = data['inputs'], data['data_samples']
    weak = model.run(model.teacher, inputs['unsup_teacher'], samples['unsup_teacher'])
    with torch.no_grad():
        found = model.teacher.predict(inputs['unsup_teacher'], copy.deepcopy(samples['unsup_teacher']), rescale=False)
    every = torch.cat([sample.pred_instances.scores for sample in found])
    model.pseudo_labels.score_thr = model.pseudo_labels.ignore_thr = float(every.sort().values[len(every) // 2])
    labels = model.pseudo_labels.labels(inputs['unsup_teacher'], samples['unsup_student'], weak)
    assert 0 < sum(len(sample.gt_instances) for sample in labels) < len(every)
    for mine, sample in zip(labels, found):
        theirs = sample.pred_instances
        kept = theirs.scores > model.pseudo_labels.score_thr
        assert torch.equal(mine.gt_instances.bboxes, theirs.bboxes[kept])
        assert torch.equal(mine.gt_instances.labels, theirs.labels[kept])
        assert not len(mine.ignored_instances)
    assert not len(samples['unsup_student'][0].gt_instances)


def predicted(*boxes):
    """Predictions (x1, y1, x2, y2, score)."""
    rows = torch.tensor(boxes)
    return InstanceData(bboxes=rows[:, :4], scores=rows[:, 4], labels=torch.arange(len(rows)) % 2)


def test_what_is_sure_unsure_and_neither():
    """Above 0.7; above 0.2 and not where a sure box is; a box thinner than a pixel is nothing."""
    labels = PseudoLabels(tiny.build_sed(tiny.faster_rcnn()).student)
    found = predicted(
        (0.0, 0, 20, 20, 0.9), (1, 1, 20, 20, 0.5), (40, 40, 60, 60, 0.5), (0, 0, 0.5, 20, 0.9), (70, 0, 80, 9, 0.1)
    )
    sample = labels.labelled(tiny.sample((64, 96)), found)
    assert sample.gt_instances.bboxes.tolist() == [[0, 0, 20, 20]] and sample.gt_instances.labels.tolist() == [0]
    assert sample.ignored_instances.bboxes.tolist() == [[40, 40, 60, 60]]


@pytest.mark.parametrize('options, said', [(dict(thr=0.7), "has 'thr'"), (True, 'is True; name its options')])
def test_options_that_are_none_are_refused(options, said):
    with pytest.raises(UserError, match='SED: pseudo_labels ' + said):
        tiny.build_sed(tiny.retinanet(), pseudo_labels=options)


@pytest.mark.parametrize('kind', ['retinanet', 'faster_rcnn'])
def test_anchors_and_proposals_in_an_unsure_box_are_no_background(kind):
    """They are where nothing is ignored, and the detector's assigners are as before afterwards."""
    student = tiny.build_sed(DETECTORS[kind]()).student
    heads = [student.bbox_head] if kind == 'retinanet' else [student.rpn_head, student.roi_head]
    assigners = [getattr(head, 'bbox_assigner', None) or head.assigner for head in heads]
    sure, unsure = (InstanceData(bboxes=torch.tensor([box]), labels=torch.zeros(1).long()) for box in PLACES)
    priors = InstanceData(priors=torch.tensor([PLACES[0], PLACES[1], (70.0, 0, 90, 20)]))
    around = InstanceData(bboxes=torch.tensor([(0.0, 0, 60, 60)]), labels=torch.zeros(1).long())
    for assigner in assigners:
        assert assigner.assign(priors, sure, unsure).gt_inds.tolist() == [1, 0, 0]
        with ignoring(student):
            assert assigner.assign(priors, sure, unsure).gt_inds.tolist() == [1, -1, 0]
            assert assigner.assign(priors, sure, gt_instances_ignore=around).gt_inds.tolist() == [1, -1, 0], 'inside'
            assert assigner.assign(priors, sure).gt_inds.tolist() == [1, 0, 0]
        assert assigner.assign(priors, sure, unsure).gt_inds.tolist() == [1, 0, 0]


def test_assigners_that_are_called_otherwise_ignore_as_well():
    """That of ATSS takes the anchors of each level in between."""
    student = torch.nn.Module()
    student.bbox_head = torch.nn.Module()
    student.bbox_head.assigner = TASK_UTILS.build(dict(type='ATSSAssigner', topk=3))
    sure, unsure = (InstanceData(bboxes=torch.tensor([box]), labels=torch.zeros(1).long()) for box in PLACES)
    priors = InstanceData(priors=torch.tensor([PLACES[0], PLACES[1], (70.0, 0, 90, 20)]))
    with ignoring(student):
        assert student.bbox_head.assigner.assign(priors, [3], sure, unsure).gt_inds.tolist() == [1, -1, 0]
    assert student.bbox_head.assigner.assign(priors, [3], sure, unsure).gt_inds.tolist() == [1, 0, 0]


def test_every_stage_of_a_cascade_ignores():
    student = torch.nn.Module()
    student.roi_head = torch.nn.Module()
    student.roi_head.bbox_assigner = [TASK_UTILS.build(tiny.MAX_IOU) for _ in range(2)]
    sure, unsure = (InstanceData(bboxes=torch.tensor([box]), labels=torch.zeros(1).long()) for box in PLACES)
    priors = InstanceData(priors=torch.tensor([PLACES[0], PLACES[1], (70.0, 0, 90, 20)]))
    with ignoring(student):
        for assigner in student.roi_head.bbox_assigner:
            assert assigner.assign(priors, sure, unsure).gt_inds.tolist() == [1, -1, 0]


PLACES = ((0.0, 0, 20, 20), (40.0, 40, 60, 60))


def test_a_pass_of_the_teacher_is_made_for_them_alone(monkeypatch):
    """Eq. 2 and 3 are off, and lambda_p turns the term off."""
    model = build('retinanet', lambda_s=0.0, lambda_d=0.0)
    set_labels(monkeypatch, BOXES)
    assert pseudo_terms(model, tiny.make_batch())
    model.lambda_p = 0.0
    losses = tiny.losses_of(model, tiny.make_batch())
    assert not any('unsup' in name for name in losses)


@pytest.mark.parametrize('kind', sorted(DETECTORS))
def test_by_default_they_teach_classes_alone(kind, monkeypatch):
    model = tiny.build_sed(DETECTORS[kind](), pseudo_labels=dict(), lambda_s=0.0, lambda_d=0.0)
    set_labels(monkeypatch, BOXES)
    terms = pseudo_terms(model, tiny.make_batch())
    assert all((value > 0) == name.endswith('cls') for name, value in terms.items()) and len(terms) > 1


def test_a_weight_below_0_is_refused():
    with pytest.raises(UserError, match='box_weight of pseudo_labels'):
        tiny.build_sed(tiny.retinanet(), pseudo_labels=dict(box_weight=-1.0))


@pytest.mark.parametrize('score', [0.0, 1.0, -1, 'high'])
def test_a_score_that_is_none_is_refused(score):
    with pytest.raises(UserError, match='score_thr of pseudo_labels'):
        tiny.build_sed(tiny.retinanet(), pseudo_labels=dict(score_thr=score))


def test_scores_by_default():
    for kind, score in dict(retinanet=0.4, faster_rcnn=0.7).items():
        assert tiny.build_sed(DETECTORS[kind](), pseudo_labels=dict()).pseudo_labels.score_thr == score


def test_masks_are_refused(monkeypatch):
    student = tiny.build_sed(tiny.faster_rcnn()).student
    monkeypatch.setattr(type(student), 'with_mask', True)
    with pytest.raises(UserError, match='wants masks'):
        PseudoLabels(student)


def test_a_weight_without_pseudo_labels_is_refused(tmp_path):
    hook = LambdaScheduleHook(lambda_p=1.0)
    runner = tiny.make_runner(tiny.sed_config(tiny.retinanet()), [tiny.make_batch()], tmp_path, 1, hooks=[hook])
    with pytest.raises(UserError, match='lambda_p'):
        runner.train()


@pytest.mark.parametrize('burn_in, named', [(3, False), (3, True), (0, False)])
def test_a_burn_in_has_to_name_their_weight(burn_in, named):
    """They would be learnt from the first iteration."""
    weights = dict(lambda_s=1.0, lambda_d=1.0, **(dict(lambda_p=1.0) if named else {}))
    hook, runner = LambdaScheduleHook(burn_in=burn_in, **weights), SimpleNamespace(model=build('retinanet'))
    if burn_in and not named:
        with pytest.raises(
            UserError, match='burn_in is 3, but pseudo-labels would be learnt from the start.*lambda_p=1'
        ):
            hook.before_train(runner)
    else:
        hook.before_train(runner)
