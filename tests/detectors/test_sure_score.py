"""The score of a pseudo-label that is found from how many objects there should be."""

import numpy as np
import pytest
import tiny
import torch
from mmengine.structures import InstanceData

from sssd.detectors import PseudoLabels, SureScore
from sssd.errors import UserError


def in_numpy(steps, least, most, found):
    """The scores of SureScore after each step, made anew: lists of boxes by image, unlabelled and labelled."""
    score, mean, scores = most, 0.0, []
    for number, (unlabelled, labelled) in enumerate(steps, 1):
        mean += (np.mean(labelled) - mean) / min(number, 100)
        if unlabelled:
            score += min(0.01 * (np.mean(unlabelled) / (found * mean) - 1), 0.03)
        score = min(max(score, least), most)
        scores.append(score)
    return scores


def test_the_score_moves_by_what_is_missing_or_too_much():
    draw = np.random.default_rng(0)
    steps = [(draw.poisson(2, 4).tolist(), draw.poisson(6, 3).tolist()) for _ in range(150)]
    steps += [([], [5]), ([90], [6])] + [(draw.poisson(9, 2).tolist(), draw.poisson(6, 3).tolist()) for _ in range(60)]
    sure, scores = SureScore(0.3, 0.7, 0.5), []
    for found, labelled in steps:
        if found:
            sure.note(found)
        scores.append(float(sure.update(labelled)))
    expected = in_numpy(steps, 0.3, 0.7, 0.5)
    assert scores == pytest.approx(expected, abs=1e-5)
    assert min(scores) < 0.35 and scores[-1] > 0.45


def test_it_comes_to_the_score_with_as_many_boxes_as_wanted():
    """Of ten boxes with scores from 0 to 1, six objects to an image, a half of them wanted: three, above 0.7."""
    sure, draw = SureScore(0.05, 0.95, 0.5), torch.Generator().manual_seed(0)
    scores = []
    for _ in range(600):
        sure.note([int((torch.rand(10, generator=draw) > sure.score).sum()) for _ in range(4)])
        scores.append(float(sure.update([6, 6])))
    assert np.mean(scores[300:]) == pytest.approx(0.7, abs=0.02)


def test_labels_without_boxes_leave_it():
    sure = SureScore(0.3, 0.7, 0.6)
    sure.note([3])
    assert float(sure.update([0, 0])) == pytest.approx(0.7)


def test_a_third_of_it_is_ignored_where_that_is_less():
    labels = PseudoLabels(tiny.build_sed(tiny.faster_rcnn()).student, score_thr=(0.3, 0.7))
    assert [float(value) for value in labels.thresholds()] == pytest.approx([0.7, 0.2])
    labels.sure.score.fill_(0.3)
    boxes = [[0.0, 0, 20, 20], [40, 0, 60, 20], [40, 40, 60, 60]]
    found = InstanceData(
        bboxes=torch.tensor(boxes), scores=torch.tensor([0.35, 0.15, 0.05]), labels=torch.zeros(3).long()
    )
    sample = labels.labelled(tiny.sample((64, 96)), found)
    assert sample.gt_instances.bboxes.tolist() == boxes[:1] and sample.ignored_instances.bboxes.tolist() == boxes[1:2]


def stepped(**options):
    """A tiny SED whose teacher finds nothing above 0.7, after two steps; what it logged."""
    model = tiny.build_sed(tiny.faster_rcnn(), pseudo_labels=dict(score_thr=(0.3, 0.7), **options))
    return model, [tiny.losses_of(model, tiny.make_batch(seed=seed)) for seed in range(2)]


def test_a_training_moves_and_logs_it():
    model, logged = stepped()
    assert [float(losses['pseudo_score_thr']) for losses in logged] == pytest.approx([0.69, 0.68])
    boxes = len(tiny.BOXES[0]) + len(tiny.BOXES[1])
    assert float(model.pseudo_labels.sure.labelled) == pytest.approx(boxes / 2)
    model.lambda_p = 0.0
    assert 'pseudo_score_thr' not in tiny.losses_of(model, tiny.make_batch())
    assert float(model.pseudo_labels.sure.score) == pytest.approx(0.68)


def test_it_is_in_the_checkpoint():
    model, _ = stepped()
    other = tiny.build_sed(tiny.faster_rcnn(), pseudo_labels=dict(score_thr=[0.3, 0.7]))
    other.load_state_dict(model.state_dict())
    for name, value in model.pseudo_labels.sure.named_buffers():
        assert torch.equal(value, dict(other.pseudo_labels.sure.named_buffers())[name])
    plain = tiny.build_sed(tiny.faster_rcnn(), pseudo_labels=dict())
    assert not any('pseudo' in name for name in plain.state_dict())


@pytest.mark.parametrize(
    'options, said',
    [
        (dict(score_thr=(0.7, 0.3)), 'the lower one first'),
        (dict(score_thr=(0.3,)), 'two scores'),
        (dict(score_thr=(0.3, 1.0)), 'two scores'),
        (dict(score_thr=(0.3, 0.7), found=0), 'found of pseudo_labels is 0'),
        (dict(score_thr=(0.3, 0.7), found='all'), 'found of pseudo_labels'),
    ],
)
def test_ranges_that_are_none_are_refused(options, said):
    with pytest.raises(UserError, match=said):
        tiny.build_sed(tiny.faster_rcnn(), pseudo_labels=options)
