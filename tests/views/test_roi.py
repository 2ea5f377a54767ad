"""Joint proposals of the second stage."""

import pytest
import tiny
import torch
from mmdet.registry import MODELS as MMDET_MODELS

from sssd.detectors.sed import shrink
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


@pytest.mark.parametrize('shift', [1, 2])
def test_scale_pairs_join_both_sets_in_the_pixels_of_each(passes, shift, monkeypatch):
    full, small = passes.run(), passes.run(shift)
    pooled = {}
    rows = passes.view.rows
    monkeypatch.setattr(passes.view, 'rows', lambda run, boxes: pooled.update({id(run): boxes}) or rows(run, boxes))
    pair = passes.view.scale_pair(full, small, shift)
    own, other = passes.view.propose(full), passes.view.propose(small)
    assert any(len(a) != len(b) or not torch.equal(a, b * 2**shift) for a, b in zip(own, other))
    for image in range(2):
        expected = torch.cat([own[image], other[image] * 2**shift])
        assert torch.equal(pooled[id(full)][image], expected)
        assert torch.equal(pooled[id(small)][image] * 2**shift, expected)
    count = sum(map(len, own)) + sum(map(len, other))
    for side in pair:
        assert side.logits.shape == (count, tiny.CLASSES + 1) and side.boxes.shape == (count, tiny.CLASSES, 4)
        assert side.activation == 'softmax' and side.valid.all()


def test_distillation_pools_both_sets_from_both(passes, monkeypatch):
    teacher = Passes()
    student_run, teacher_run = passes.run(), teacher.run()
    pooled = []
    rows = passes.view.rows
    monkeypatch.setattr(passes.view, 'rows', lambda run, boxes: pooled.append((run, boxes)) or rows(run, boxes))
    passes.view.distill_pair(student_run, teacher_run)
    first, second = passes.view.propose(student_run), passes.view.propose(teacher_run)
    expected = [torch.cat(pair) for pair in zip(first, second)]
    assert [run for run, _ in pooled] == [student_run, teacher_run]
    for _, boxes in pooled:
        assert all(torch.equal(a, b) for a, b in zip(boxes, expected))


def test_rows_are_the_heads_answer_for_each_proposal(passes):
    run = passes.run()
    boxes = [torch.tensor([[4.0, 4, 40, 40]]), torch.tensor([[8.0, 8, 60, 30], [0, 0, 96, 64]])]
    rows = passes.view.rows(run, boxes)
    alone = passes.view.rows(run, [boxes[0][:0], boxes[1][1:]])
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
