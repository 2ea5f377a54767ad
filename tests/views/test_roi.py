"""Joint proposals of the second stage."""

import pytest
import tiny
import torch
from mmdet.registry import MODELS as MMDET_MODELS

from sssd.detectors.sed import shrink
from sssd.errors import UserError
from sssd.losses import SoftLoss
from sssd.views import Pass, RoIView

SIZE = (64, 96)


class Passes:
    """A tiny Faster R-CNN and passes of two images through it."""

    def __init__(self):
        self.detector = MMDET_MODELS.build(tiny.faster_rcnn())
        self.detector.init_weights()
        for parameter in self.detector.rpn_head.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        self.images = torch.randn(2, 3, *SIZE)
        self.view = RoIView()
        self.view.check(self.detector)

    def run(self, shift=0, image_size=SIZE):
        metas = [dict(img_shape=tuple(side / 2**shift for side in image_size))] * 2
        images = shrink(self.images, shift)
        return Pass(self.detector, self.detector.extract_feat(images), metas, tuple(images.shape[-2:]))


@pytest.fixture
def passes():
    return Passes()


def test_proposals_are_those_of_training(passes):
    """Not the fewer ones of testing; inside the image; without gradient; made once."""
    run = passes.run(image_size=(50, 70))
    proposals = passes.view.propose(run)
    assert all(5 < len(boxes) <= 12 for boxes in proposals)
    assert all(boxes.min() >= 0 and boxes[:, 2].max() <= 70 and boxes[:, 3].max() <= 50 for boxes in proposals)
    assert not any(boxes.requires_grad for boxes in proposals)
    assert passes.view.propose(run) is proposals


@pytest.fixture
def pooled(passes, monkeypatch):
    """What is pooled: every pass with the proposals of its images."""
    calls, rows = [], passes.view.rows

    def noted(run, *sets):
        calls.extend((run, boxes) for boxes in sets)
        return rows(run, *sets)

    monkeypatch.setattr(passes.view, 'rows', noted)
    return calls


def boxes_of(pooled, run, first=True):
    """The proposals of a pass, its own pooled first, in the order of its rows: its own are first in X's, last in the
    other's."""
    own, other = (torch.cat(boxes) for one, boxes in pooled if one is run)
    return torch.cat((own, other) if first else (other, own))


@pytest.mark.parametrize('shift', [1, 2])
def test_scale_pairs_join_both_sets_in_the_pixels_of_each(passes, shift, pooled):
    full, small = passes.run(), passes.run(shift)
    pair = passes.view.scale_pair(full, small, shift)
    own, other = passes.view.propose(full), passes.view.propose(small)
    assert any(len(a) != len(b) or not torch.equal(a, b * 2**shift) for a, b in zip(own, other))
    expected = torch.cat([*own, *(boxes * 2**shift for boxes in other)])
    assert torch.equal(boxes_of(pooled, full), expected)
    assert torch.equal(boxes_of(pooled, small, first=False) * 2**shift, expected)
    for side in pair:
        assert side.logits.shape == (len(expected), tiny.CLASSES + 1)
        assert side.boxes.shape == (len(expected), tiny.CLASSES, 4)
        assert side.activation == 'softmax' and side.valid.all()
    for run, side in zip((full, small), pair):
        order = slice(None) if run is full else slice(None, None, -1)
        sets = [boxes for one, boxes in list(pooled) if one is run][order]
        rows = [passes.view.rows(run, boxes)[0].logits for boxes in sets]
        torch.testing.assert_close(side.logits, torch.cat(rows))


def test_distillation_pools_both_sets_from_both(passes, pooled):
    teacher = Passes()
    student_run, teacher_run = passes.run(), teacher.run()
    passes.view.distill_pair(student_run, teacher_run)
    expected = torch.cat([*passes.view.propose(student_run), *passes.view.propose(teacher_run)])
    assert torch.equal(boxes_of(pooled, student_run), expected)
    assert torch.equal(boxes_of(pooled, teacher_run, first=False), expected)


def test_rows_on_own_proposals_are_pooled_once_for_both_losses(passes, pooled):
    strong, small, weak = passes.run(), passes.run(1), passes.run()
    passes.view.scale_pair(strong, small, 1)
    passes.view.distill_pair(strong, weak)
    own = passes.view.propose(strong)
    assert sum(run is strong for run, _ in pooled) == 3
    assert sum(run is strong and boxes is own for run, boxes in pooled) == 1


def test_a_dense_view_that_comes_after_it_has_its_gradient(passes):
    run, other = passes.run(), passes.run(1)
    passes.view.scale_pair(run, other, 1)
    rows, _ = passes.view.rpn.scale_pair(run, other, 1)
    rows.logits.sum().backward()
    assert passes.detector.rpn_head.rpn_cls.weight.grad.abs().max() > 0


@pytest.mark.parametrize('max_rows', [2, 6, 7])
def test_at_most_so_many_rows_the_best_of_either_pass(passes, max_rows, pooled):
    runs, all_of_them = (passes.run(), passes.run(1)), [passes.view.propose(passes.run(shift)) for shift in (0, 1)]
    passes.view.max_rows = max_rows
    full, small = passes.view.scale_pair(*runs, 1)
    for run, every in zip(runs, all_of_them):
        for few, many in zip(passes.view.propose(run), every):
            assert len(few) == max_rows // 2 < len(many) and torch.equal(few, many[: len(few)])
    assert len(full.logits) == len(small.logits) == 2 * 2 * (max_rows // 2)
    assert torch.equal(boxes_of(pooled, runs[0]), 2 * boxes_of(pooled, runs[1], first=False))


def test_a_detector_that_was_exported_proposes_as_in_testing(passes):
    """Its config has no train_cfg."""
    passes.detector.train_cfg = None
    assert {len(boxes) for boxes in passes.view.propose(passes.run())} == {5}


def test_the_best_proposals_come_first(passes):
    """What max_rows relies on."""
    run = passes.run()
    head, config = passes.detector.rpn_head, passes.detector.train_cfg.rpn_proposal
    for result in head.predict_by_feat(*passes.view.rpn.outputs(run), batch_img_metas=run.metas, cfg=config):
        assert len(result) > 5 and bool((result.scores.diff() <= 0).all()) and result.scores[0] > result.scores[-1]


@pytest.mark.parametrize('max_rows', [1, 0, 2.5, 'all'])
def test_a_number_of_rows_that_is_none_is_refused(max_rows):
    with pytest.raises(UserError, match='RoIView: max_rows is .* at least 2'):
        RoIView(max_rows=max_rows)


def test_rows_are_the_heads_answer_for_each_proposal(passes):
    run = passes.run()
    boxes = [torch.tensor([[4.0, 4, 40, 40]]), torch.tensor([[8.0, 8, 60, 30], [0, 0, 96, 64]])]
    (rows,) = passes.view.rows(run, boxes)
    (alone,) = passes.view.rows(run, [boxes[0][:0], boxes[1][1:]])
    torch.testing.assert_close(rows.logits[2:], alone.logits)
    torch.testing.assert_close(rows.boxes[2:], alone.boxes)


@pytest.mark.parametrize('empty', [(True, False), (False, True), (True, True)])
def test_passes_without_proposals(passes, empty):
    runs = passes.run(), passes.run(1)
    for run, nothing in zip(runs, empty):
        if nothing:
            run.once('proposals', lambda: [torch.zeros(0, 4)] * 2)
    full, small = passes.view.scale_pair(*runs, 1)
    assert len(full.logits) == sum(len(boxes) for run in runs for boxes in passes.view.propose(run))
    score, box = SoftLoss().scale(full, small)
    (score + box).backward()
    assert score.isfinite() and box.isfinite()
    if all(empty):
        assert score == 0 and box == 0
    assert all(p.grad is not None and p.grad.isfinite().all() for p in passes.detector.roi_head.parameters())


def test_one_image_without_proposals(passes):
    first, second = passes.run(), passes.run()
    for run, counts in ((first, (0, 1)), (second, (0, 2))):
        run.once('proposals', lambda counts=counts: [torch.tensor([[4.0, 4, 40, 40]] * n).view(-1, 4) for n in counts])
    student, teacher = passes.view.distill_pair(first, second)
    assert len(student.logits) == len(teacher.logits) == 3
    assert all(term == 0 for term in SoftLoss().distill(student, teacher))


def test_boxes_that_all_classes_share():
    config = tiny.faster_rcnn()
    config['roi_head']['bbox_head']['reg_class_agnostic'] = True
    losses = tiny.losses_of(tiny.build_sed(config), tiny.make_batch())
    assert losses['roi_loss_scale_bbox'] > 0
