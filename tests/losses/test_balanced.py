"""Losses over soft counts of each class against plain loops, and where they lead as opposed to Eq. 5."""

import numpy as np
import pytest
import torch
from rows import boxes_of, chances, close, kl, make_views, norm

from sssd.errors import UserError
from sssd.losses import BalancedSoftLoss, SoftLoss
from sssd.views import PredictionView


def bernoulli(p, q):
    return kl(np.array([p]), np.array([q]), 'sigmoid')


def test_distillation_of_sigmoid_rows():
    student, teacher = make_views()
    score, box = BalancedSoftLoss(floor=1.0, box_weight=2.0).distill(student, teacher)
    p, t, valid, counts = chances(student), chances(teacher), student.valid.numpy(), None
    counts = np.maximum(t[valid].sum(0), 1.0)
    expected = sum(bernoulli(t[i, c], p[i, c]) / counts[c] for i in np.flatnonzero(valid) for c in range(3)) / 3
    close(score, expected)
    distance = [norm(a, b) for a, b in zip(boxes_of(student)[:, 0], boxes_of(teacher)[:, 0])]
    expected = sum(t[i, c] / counts[c] * distance[i] for i in np.flatnonzero(valid) for c in range(3)) / 3
    close(box, 2 * expected)


def test_distillation_of_softmax_rows():
    student, teacher = make_views('softmax')
    score, _ = BalancedSoftLoss(floor=1.0).distill(student, teacher)
    p, t, valid = chances(student), chances(teacher), student.valid.numpy()
    counts = np.maximum(t[valid][:, :3].sum(0), 1.0)
    close(score, sum(kl(t[i], p[i], 'softmax') for i in np.flatnonzero(valid)) / counts.sum())


def test_counts_are_a_running_mean_not_below_the_floor():
    loss = BalancedSoftLoss(momentum=0.5, floor=3.0)
    valid = torch.ones(4, dtype=torch.bool)
    many, few = torch.tensor([[1.0, 0.5]] * 4), torch.tensor([[0.0, 0.5]] * 4)
    assert loss.counts(many, valid).tolist() == [4.0, 3.0]
    assert loss.counts(few, valid).tolist() == [3.0, 3.0]
    assert loss.running.tolist() == [2.0, 2.0]


@pytest.mark.parametrize('broken', [float('nan'), float('inf')])
@pytest.mark.parametrize('first', [True, False])
def test_scores_that_are_not_finite_leave_no_trace_in_the_counts(first, broken):
    loss, valid = BalancedSoftLoss(momentum=0.5, floor=0.5), torch.ones(4, dtype=torch.bool)
    broken, sound = torch.tensor([[broken, 1.0]] * 4), torch.tensor([[1.0, 1.0]] * 4)
    if not first:
        loss.counts(sound, valid)
    loss.counts(broken, valid)
    assert loss.running.tolist() == [0.0 if first else 4.0, 4.0]
    assert loss.counts(sound, valid).isfinite().all()


def test_counts_survive_a_checkpoint():
    loss, fresh = BalancedSoftLoss(), BalancedSoftLoss()
    loss.distill(*make_views())
    fresh.load_state_dict(loss.state_dict())
    assert torch.equal(fresh.running, loss.running) and len(fresh.running) == 3


def test_no_rows_and_no_valid_rows_give_zero_with_a_graph():
    for rows in (0, 5):
        student, teacher = make_views(rows=rows)
        student.valid[:] = False
        score, box = BalancedSoftLoss().distill(student, teacher)
        (score + box).backward()
        assert score == 0 and box == 0 and not student.logits.grad.abs().any()


def best_score(loss, targets):
    """The one probability for all rows that makes the loss least: their views are indistinguishable."""
    logit = torch.zeros(1, 1, requires_grad=True)
    optimizer = torch.optim.SGD([logit], lr=1.0)  # at 5 it jumps about the best
    teacher = PredictionView(
        torch.logit(targets)[:, None],
        torch.zeros(len(targets), 1, 4),
        torch.ones(len(targets), dtype=torch.bool),
        'sigmoid',
    )
    for _ in range(3000):
        student = PredictionView(logit.expand(len(targets), 1), teacher.boxes, teacher.valid, 'sigmoid')
        optimizer.zero_grad()
        loss.distill(student, teacher)[0].backward()
        optimizer.step()
    return logit.sigmoid().item()


def test_the_best_prediction_is_the_mean_target_and_under_eq_5_the_middle_of_their_range():
    targets = torch.tensor([0.01] * 98 + [0.9] * 2)
    assert best_score(BalancedSoftLoss(floor=1.0), targets) == pytest.approx(targets.mean().item(), abs=2e-3)
    assert best_score(SoftLoss(dict(type='Histogram')), targets) == pytest.approx((0.01 + 0.9) / 2, abs=0.03)


@pytest.mark.parametrize(
    'options, named',
    [
        (dict(reweight=dict(type='Mean')), 'reweight'),
        (dict(box_rows='valid'), 'box_rows'),
        (dict(momentum=1.0), 'momentum'),
        (dict(floor=0.0), 'floor'),
    ],
)
def test_bad_options(options, named):
    with pytest.raises(UserError, match=named):
        BalancedSoftLoss(**options)
