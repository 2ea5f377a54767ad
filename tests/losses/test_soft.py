"""Eq. 2 and Eq. 3 over rows against plain loops, soft and hard targets, class-specific boxes."""

import numpy as np
import pytest
import torch
from rows import boxes_of, chances, close, kl, make_views, mean_kl, norm

from sssd.errors import UserError
from sssd.losses import SoftLoss
from sssd.views import PredictionView

MEAN = dict(type='Mean')


@pytest.mark.parametrize('activation', ['sigmoid', 'softmax'])
def test_eq_2(activation):
    full, small = make_views(activation)
    score, box = SoftLoss(reweight=MEAN).scale(full, small)
    p, q, valid = chances(full), chances(small), full.valid.numpy()
    close(score, mean_kl(p, q, valid, activation) + mean_kl(q, p, valid, activation))
    close(box, np.mean([norm(a, b) for a, b, counted in zip(boxes_of(full), boxes_of(small), valid) if counted]))


@pytest.mark.parametrize('activation', ['sigmoid', 'softmax'])
def test_eq_3(activation):
    student, teacher = make_views(activation)
    score, box = SoftLoss(reweight=MEAN).distill(student, teacher)
    valid = student.valid.numpy()
    close(score, mean_kl(chances(teacher), chances(student), valid, activation))
    close(box, np.mean([norm(a, b) for a, b, c in zip(boxes_of(student), boxes_of(teacher), valid) if c]))


def test_eq_5_is_the_default_and_weighs_the_classification_alone():
    student, teacher = make_views()
    score, box = SoftLoss().distill(student, teacher)
    p, q, valid = chances(teacher), chances(student), student.valid.numpy()
    gap = np.minimum(np.abs(p - q).sum(1), 1)
    index = [min(int(g * 30), 29) for g in gap]
    counts = [sum(i == j and c for i, c in zip(index, valid)) for j in range(30)]
    expected = sum(kl(p[i], q[i], 'sigmoid') / (30 * counts[index[i]]) for i in range(len(p)) if valid[i])
    close(score, expected)
    close(box, SoftLoss(reweight=MEAN).distill(student, teacher)[1].item())


def test_gradients_of_eq_3_reach_the_student_alone():
    student, teacher = make_views()
    sum(SoftLoss().distill(student, teacher)).backward()
    assert teacher.logits.grad is None and teacher.boxes.grad is None
    for grad in (student.logits.grad, student.boxes.grad):
        moved = grad.flatten(1).abs().sum(1) > 0
        assert torch.equal(moved, student.valid)


def test_targets_of_eq_2_are_detached_and_both_sides_learn():
    """The gradient is that of two independent KLs with constant targets, and of a norm that pulls both boxes."""
    full, small = make_views()
    sum(SoftLoss(reweight=MEAN).scale(full, small)).backward()
    p, q = torch.tensor(chances(full)), torch.tensor(chances(small))
    weight = full.valid[:, None] / full.valid.sum()
    torch.testing.assert_close(full.logits.grad, (weight * (p - q)).float())
    torch.testing.assert_close(small.logits.grad, (weight * (q - p)).float())
    torch.testing.assert_close(full.boxes.grad, -small.boxes.grad)
    assert full.boxes.grad.abs().sum() > 0


@pytest.mark.parametrize('activation', ['sigmoid', 'softmax'])
def test_equal_predictions_cost_nothing_and_their_gradients_are_finite(activation):
    student, _ = make_views(activation, groups=3)
    teacher = PredictionView(student.logits.detach().clone(), student.boxes.detach().clone(), student.valid, activation)
    for loss in (SoftLoss(), SoftLoss(class_boxes='all'), SoftLoss(reweight=dict(type='Focal'))):
        for terms in (loss.distill(student, teacher), loss.scale(student, teacher)):
            assert [term.item() for term in terms] == [0.0, 0.0]
            grads = torch.autograd.grad(sum(terms), (student.logits, student.boxes))
            assert all(torch.isfinite(grad).all() for grad in grads)


@pytest.mark.parametrize('activation', ['sigmoid', 'softmax'])
@pytest.mark.parametrize('reweight', ['Mean', 'Histogram', 'OHEM', 'Focal'])
def test_without_rows_the_loss_is_zero_with_a_graph(activation, reweight):
    student, teacher = make_views(activation, rows=0, groups=3)
    loss = SoftLoss(reweight=dict(type=reweight))
    for terms in (loss.distill(student, teacher), loss.scale(student, teacher)):
        assert all(term.item() == 0 and term.requires_grad for term in terms)


def class_distances(a, b):
    return [norm(x, y) for x, y in zip(a, b)]


@pytest.mark.parametrize('activation', ['sigmoid', 'softmax'])
@pytest.mark.parametrize('mode', ['probability', 'argmax', 'all'])
def test_boxes_of_every_class(activation, mode):
    student, teacher = make_views(activation, groups=3)
    _, box = SoftLoss(class_boxes=mode).distill(student, teacher)
    rows = []
    for a, b, p, counted in zip(boxes_of(student), boxes_of(teacher), chances(teacher), student.valid.numpy()):
        by_class = class_distances(a, b)
        value = dict(
            probability=sum(w * d for w, d in zip(p, by_class)), argmax=by_class[int(p[:3].argmax())], all=norm(a, b)
        )[mode]
        rows += [value] if counted else []
    close(box, np.mean(rows))


@pytest.mark.parametrize('mode', ['probability', 'argmax', 'all'])
def test_boxes_of_the_only_class(mode):
    """As with several classes, where the view says that the box is the class's: shapes alone do not show it."""
    student, teacher = make_views('softmax', classes=1, rows=50)
    distances = [norm(a, b) for a, b in zip(boxes_of(student), boxes_of(teacher))]
    valid, p = student.valid.numpy(), chances(teacher)[:, 0]
    student.class_boxes = teacher.class_boxes = True
    _, box = SoftLoss(class_boxes=mode).distill(student, teacher)
    close(box, np.mean((distances * p if mode == 'probability' else np.array(distances))[valid]))
    student.class_boxes = teacher.class_boxes = False
    close(SoftLoss(class_boxes=mode).distill(student, teacher)[1], np.mean(np.array(distances)[valid]))


def test_class_boxes_of_eq_2_are_weighted_by_the_mean_of_both_targets():
    full, small = make_views('softmax', groups=3)
    _, box = SoftLoss().scale(full, small)
    rows = [
        sum((p + q) / 2 * d for p, q, d in zip(x, y, class_distances(a, b)))
        for a, b, x, y, c in zip(boxes_of(full), boxes_of(small), chances(full), chances(small), full.valid)
        if c
    ]
    close(box, np.mean(rows))


@pytest.mark.parametrize('activation', ['sigmoid', 'softmax'])
def test_boxes_of_foreground_rows(activation):
    student, teacher = make_views(activation)
    _, box = SoftLoss(box_rows='foreground', box_weight=3.0).distill(student, teacher)
    p = chances(teacher)
    objectness = p.max(1) if activation == 'sigmoid' else 1 - p[:, -1]
    weight = objectness * student.valid.numpy()
    distances = np.array([norm(a, b) for a, b in zip(boxes_of(student), boxes_of(teacher))])
    close(box, 3 * (weight * distances).sum() / weight.sum())


@pytest.mark.parametrize('activation', ['sigmoid', 'softmax'])
def test_hard_targets_are_cross_entropy_with_pseudo_labels(activation):
    student, teacher = make_views(activation, rows=200)
    score, _ = SoftLoss(reweight=MEAN, target='hard', threshold=0.6).distill(student, teacher)
    rows, objects = [], 0
    for p, q, counted in zip(chances(teacher), chances(student), student.valid.numpy()):
        label = int(p[:3].argmax())
        is_object = p[label] >= 0.6
        objects += is_object
        if activation == 'softmax':
            value = -np.log(q[label if is_object else 3])
        else:
            hits = [is_object and index == label for index in range(3)]
            value = sum(-np.log(x if hit else 1 - x) for x, hit in zip(q, hits))
        rows += [value] if counted else []
    assert 0 < objects < 200
    close(score, np.mean(rows))


@pytest.mark.parametrize('activation', ['sigmoid', 'softmax'])
def test_a_temperature_divides_the_targets_logits_of_eq_3_alone(activation):
    student, teacher = make_views(activation)
    sharp = SoftLoss(reweight=MEAN, temperature=0.5)
    score, box = sharp.distill(student, teacher)
    sharpened = PredictionView(teacher.logits * 2, teacher.boxes, teacher.valid, activation)
    plain = SoftLoss(reweight=MEAN)
    close(score, mean_kl(chances(sharpened), chances(student), student.valid.numpy(), activation))
    assert box == plain.distill(student, teacher)[1] and sharp.scale(student, teacher) == plain.scale(student, teacher)
    with pytest.raises(UserError, match='temperature is 0'):
        SoftLoss(temperature=0)


@pytest.mark.parametrize('activation', ['sigmoid', 'softmax'])
def test_hard_targets_have_boxes_for_objects_alone(activation):
    student, teacher = make_views(activation, rows=200)
    _, box = SoftLoss(target='hard', threshold=0.6).distill(student, teacher)
    rows = [
        norm(a, b)
        for a, b, p, counted in zip(boxes_of(student), boxes_of(teacher), chances(teacher), student.valid)
        if counted and p[:3].max() >= 0.6
    ]
    assert 0 < len(rows) < 200
    close(box, np.mean(rows))


def test_scale_consistency_is_soft_whatever_the_target():
    full, small = make_views()
    soft, hard = SoftLoss(), SoftLoss(target='hard', threshold=0.1)
    assert torch.equal(soft.scale(full, small)[0], hard.scale(full, small)[0])
    assert not torch.equal(soft.distill(full, small)[0], hard.distill(full, small)[0])


@pytest.mark.parametrize('option', ['target', 'box_rows', 'class_boxes'])
def test_unknown_options_name_the_known_ones(option):
    with pytest.raises(UserError, match=f"{option} is 'other'; use one of"):
        SoftLoss(**{option: 'other'})
