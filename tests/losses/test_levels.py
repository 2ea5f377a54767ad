"""Eq. 2 and 3 as a sum over the levels of a pyramid, against plain NumPy; rows without levels; what is refused."""

import numpy as np
import pytest
import torch
from rows import boxes_of, chances, close, kl, make_views, norm

from sssd.errors import UserError
from sssd.losses import BalancedSoftLoss, SoftLoss

LEVELS, IMAGES = (11, 6, 3), 2


def views(activation='sigmoid', images=IMAGES, **options):
    return make_views(activation, rows=images * sum(LEVELS), levels=LEVELS, **options)


def rows_of_level(level):
    """Numbers of the rows of a level: they come image by image, in an image level by level."""
    start = sum(LEVELS[:level])
    return [image * sum(LEVELS) + start + row for image in range(IMAGES) for row in range(LEVELS[level])]


def eq_5(p, q, activation, counted, bins=30):
    """Eq. 5 over some rows, target first."""
    gap = np.abs(p - q).sum(1)
    gap = np.minimum(gap, 1) if activation == 'sigmoid' else gap / 2
    index = [min(int(g * bins), bins - 1) for g in gap]
    sizes = [sum(i == j and c for i, c in zip(index, counted)) for j in range(bins)]
    return sum(kl(p[i], q[i], activation) / (bins * sizes[index[i]]) for i in range(len(p)) if counted[i])


def by_level(first, second, activation, both):
    """The classification and the regression part, level by level."""
    p, q, a, b = chances(first), chances(second), boxes_of(first), boxes_of(second)
    valid, scores, boxes = first.valid.numpy(), [], []
    for level in range(len(LEVELS)):
        rows = rows_of_level(level)
        scores.append(eq_5(q[rows], p[rows], activation, valid[rows]))
        if both:
            scores[-1] += eq_5(p[rows], q[rows], activation, valid[rows])
        boxes.append(np.mean([norm(x, y) for x, y, c in zip(a[rows], b[rows], valid[rows]) if c]))
    return scores, boxes


@pytest.mark.parametrize('activation', ['sigmoid', 'softmax'])
@pytest.mark.parametrize('equation', ['distill', 'scale'])
def test_the_sum_over_levels(activation, equation):
    first, second = views(activation)
    scores, boxes = by_level(first, second, activation, both=equation == 'scale')
    score, box = getattr(SoftLoss(levels='sum'), equation)(first, second)
    close(score, sum(scores))
    close(box, sum(boxes))
    assert min(scores) > 0 and abs(score / getattr(SoftLoss(), equation)(first, second)[0] - 1) > 0.1


@pytest.mark.parametrize('equation', ['distill', 'scale'])
def test_pooled_is_the_default_and_knows_no_levels(equation):
    first, second = views()
    plain = make_views(rows=IMAGES * sum(LEVELS))
    for loss in (SoftLoss(), SoftLoss(levels='pooled')):
        for mine, other in zip(getattr(loss, equation)(first, second), getattr(SoftLoss(), equation)(*plain)):
            assert torch.equal(mine, other)


def test_each_part_of_the_gradient_is_that_of_its_level_alone():
    first, second = views()
    sum(SoftLoss(levels='sum').distill(first, second)).backward()
    alone, others = views(), views()
    for mine, theirs in zip(alone[0].by_level(), alone[1].by_level()):
        sum(SoftLoss().distill(mine, theirs)).backward()
    for mine, other in ((first, alone[0]), (second, alone[1])):
        for part in ('logits', 'boxes'):
            expected = getattr(other, part).grad
            torch.testing.assert_close(getattr(mine, part).grad, expected)
    sum(SoftLoss().distill(*others)).backward()
    assert (others[0].logits.grad - first.logits.grad).abs().max() > 1e-3


def test_rows_of_a_level_come_image_by_image():
    first, _ = views()
    for level, part in enumerate(first.by_level()):
        rows = rows_of_level(level)
        assert part.levels == (LEVELS[level],) and part.activation == first.activation
        assert torch.equal(part.logits, first.logits[rows]) and torch.equal(part.boxes, first.boxes[rows])
        assert torch.equal(part.valid, first.valid[rows])
        (again,) = part.by_level()
        assert torch.equal(again.logits, part.logits)


@pytest.mark.parametrize('equation', ['distill', 'scale'])
def test_rows_without_levels_are_one(equation):
    first, second = make_views('softmax', groups=3)
    for mine, other in zip(
        getattr(SoftLoss(levels='sum'), equation)(first, second), getattr(SoftLoss(), equation)(first, second)
    ):
        assert torch.equal(mine, other)


@pytest.mark.parametrize('options', [dict(), dict(target='hard', threshold=0.6), dict(box_rows='foreground')], ids=str)
def test_a_level_without_valid_rows_adds_nothing(options):
    first, second = views()
    first.valid[rows_of_level(1)] = False
    loss = SoftLoss(levels='sum', **options)
    expected = [loss.distill(*pair) for pair in zip(first.by_level(), second.by_level())]
    for index, term in enumerate(loss.distill(first, second)):
        close(term, (expected[0][index] + expected[2][index]).item())
        assert expected[1][index] == 0


def test_no_images_give_zero_with_a_graph():
    for equation in ('distill', 'scale'):
        first, second = views(images=0)
        terms = getattr(SoftLoss(levels='sum'), equation)(first, second)
        sum(terms).backward()
        assert [term.item() for term in terms] == [0, 0]


def test_hard_targets_by_level():
    """The mean of boxes is over the objects of a level."""
    first, second = views(seed=3)
    _, box = SoftLoss(levels='sum', target='hard', threshold=0.6).distill(first, second)
    confident = chances(second).max(1) >= 0.6
    total = 0
    for level in range(len(LEVELS)):
        rows = [row for row in rows_of_level(level) if confident[row] and first.valid[row]]
        assert rows
        total += np.mean([norm(boxes_of(first)[row], boxes_of(second)[row]) for row in rows])
    close(box, total)


def test_refusals():
    with pytest.raises(UserError, match="levels is 'each'; use one of pooled, sum"):
        SoftLoss(levels='each')
    with pytest.raises(UserError, match="levels='sum' has counts for every level.*momentum to 0"):
        SoftLoss(reweight=dict(type='Histogram', momentum=0.5), levels='sum')
    with pytest.raises(UserError, match='levels has no meaning here'):
        BalancedSoftLoss(levels='sum')
