"""What a teacher finds at several sizes."""

import copy

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData

from sssd.detectors import PseudoLabels
from sssd.detectors.sizes import _at as at_size
from sssd.detectors.sizes import agreed, found_at_sizes
from sssd.errors import UserError

DETECTORS = {**tiny.DETECTORS, **tiny.OTHERS}


def look(*rows):
    """Detections (x1, y1, x2, y2, score, label)."""
    rows = torch.tensor(rows, dtype=torch.float).reshape(-1, 6)
    return InstanceData(bboxes=rows[:, :4], scores=rows[:, 4], labels=rows[:, 5].long())


def test_scores_are_means_over_looks_and_boxes_are_voted():
    """By hand: one object in both looks, one in the second alone, one of another class at the first one's place."""
    first = look((0, 0, 20, 20, 0.8, 0), (0, 0, 20, 20, 0.3, 1))
    second = look((1, 0, 21, 20, 0.6, 0), (50, 50, 70, 70, 0.5, 0), (2, 0, 22, 20, 0.2, 0))
    found = agreed([first, second])
    np.testing.assert_allclose(found.scores.numpy(), [(0.8 + 0.6) / 2, 0.5 / 2, 0.3 / 2], rtol=1e-6)
    assert found.labels.tolist() == [0, 0, 1]
    shift = (0.6 * 1 + 0.2 * 2) / (0.8 + 0.6 + 0.2)
    np.testing.assert_allclose(
        found.bboxes.numpy(), [[shift, 0, 20 + shift, 20], [50, 50, 70, 70], [0, 0, 20, 20]], rtol=1e-6
    )


def test_a_box_that_overlaps_by_half_is_of_the_object_but_has_no_vote():
    """IoU 0.6: 15 of 25 columns."""
    found = agreed([look((0, 0, 20, 20, 0.8, 0)), look((5, 0, 25, 20, 0.4, 0))])
    np.testing.assert_allclose(found.scores.numpy(), [0.6], rtol=1e-6)
    assert found.bboxes.tolist() == [[0, 0, 20, 20]]


def test_looks_that_find_nothing():
    assert len(agreed([look(), look()])) == 0
    found = agreed([look(), look((0, 0, 8, 8, 0.4, 2))])
    np.testing.assert_allclose(found.scores.numpy(), [0.2], rtol=1e-6)
    assert found.labels.tolist() == [2]


def test_halves_are_voted_in_full():
    """Boxes of a large image, which float16 rounds to whole pixels, under autocast."""
    with torch.autocast('cpu', torch.bfloat16):
        found = agreed([look((1001, 0, 1201, 200, 0.75, 0)), look((1003, 0, 1203, 200, 0.25, 0))])
    assert found.bboxes.tolist() == [[1001.5, 0, 1201.5, 200]]


@pytest.mark.parametrize('size, mirror', [(0.5, False), (1.6, False), (0.75, True), (1.33, True)])
@pytest.mark.parametrize('kind', sorted(DETECTORS))
def test_what_a_detector_finds_in_the_resized_batch(kind, size, mirror):
    """Boxes in pixels of the batch as it is; compared with the detector's own prediction of images resized by hand."""
    model = tiny.build_sed(DETECTORS[kind]())
    tiny.keep_all_scores(model.teacher)
    data = model.data_preprocessor(tiny.make_batch(), True)
    inputs, samples = data['inputs']['unsup_teacher'], data['data_samples']['unsup_teacher']
    samples[1].set_metainfo(dict(img_shape=(52, 71)))  # the rest of it is padding
    inputs[1, :, 52:], inputs[1, :, :, 71:] = 0, 0
    weak = model.run(model.teacher, inputs, samples)
    padded, shown = resized_by_hand(inputs, samples, size, mirror)
    with torch.no_grad():
        alone = model.teacher.predict(inputs, copy.deepcopy(samples), rescale=False)
        resized = model.teacher.predict(padded, shown, rescale=False)
        found = found_at_sizes(inputs, samples, weak, (size,), mirror)
        single = found_at_sizes(inputs, samples, weak, ())
    for mine, plain, one, other in zip(found, single, alone, resized):
        assert torch.equal(plain.bboxes, one.pred_instances.bboxes)
        boxes = other.pred_instances.bboxes.numpy().copy()
        if mirror:
            boxes[:, [0, 2]] = other.img_shape[1] - boxes[:, [2, 0]]
        real = np.array([round(side * size) / side for side in inputs.shape[-2:]] * 2, np.float32)
        other.pred_instances.bboxes = torch.from_numpy(boxes / real[[1, 0, 3, 2]])
        expected = agreed([one.pred_instances, other.pred_instances])
        assert len(expected) and len(mine) == len(expected)
        torch.testing.assert_close(mine.bboxes, expected.bboxes)
        torch.testing.assert_close(mine.scores, expected.scores)


def resized_by_hand(inputs, samples, size, mirror):
    """A batch resized, what lies within each image mirrored, padded to 64 pixels; and its data samples."""
    height, width = (round(side * size) for side in inputs.shape[-2:])
    small = F.interpolate(inputs, (height, width), mode='bilinear', antialias=size < 1).numpy()
    padded = np.zeros((*inputs.shape[:2], -(-height // 64) * 64, -(-width // 64) * 64), np.float32)
    padded[..., :height, :width] = small
    shown = copy.deepcopy(samples)
    for image, plain, sample in zip(padded, small, shown):
        shape = tuple(
            round(side * new / old) for side, new, old in zip(sample.img_shape, small.shape[2:], inputs.shape[2:])
        )
        for column in range(shape[1] if mirror else 0):
            image[:, :height, column] = plain[:, :, shape[1] - 1 - column]
        sample.set_metainfo(dict(img_shape=shape, batch_input_shape=padded.shape[-2:]))
    return torch.from_numpy(padded), shown


class Measuring(torch.nn.Module):
    """Finds the bright rectangle, to the part of a pixel: its mass is its size, its mean is its middle."""

    def predict(self, inputs, samples, rescale):
        for image, sample in zip(inputs[:, 0], samples):
            mass, sides = image.sum(), []
            for lines in (image.sum(0), image.sum(1)):
                middle = (lines * (torch.arange(len(lines)) + 0.5)).sum() / mass
                sides.append((middle, lines.max()))
            (x, height), (y, width) = sides[0], sides[1]
            box = torch.stack((x - width / 2, y - height / 2, x + width / 2, y + height / 2))
            one = InstanceData(bboxes=box[None], scores=torch.ones(1), labels=torch.zeros(1, dtype=torch.long))
            sample.pred_instances = one
        return samples


@pytest.mark.parametrize('mirror', [True, False])
@pytest.mark.parametrize('size', [0.33, 0.75, 0.9, 1.33])
def test_boxes_are_where_the_object_is(size, mirror):
    """The sides of a batch times a size are seldom whole; boxes go by what rounding made of it."""
    inputs = torch.zeros(1, 3, 427, 640)
    inputs[..., 300:360, 530:590] = 1
    shown = tiny.sample((427, 620))
    (look,) = at_size(Measuring(), inputs, [shown], size, mirror)
    torch.testing.assert_close(look.bboxes, torch.tensor([[530.0, 300, 590, 360]]), atol=0.1, rtol=0)


def test_masks_of_looks_are_left_out():
    """Those of a look that finds nothing are of another size in mmdet."""
    some, none = look((0, 0, 20, 20, 0.8, 0)), look()
    some.masks, none.masks = torch.zeros(1, 64, 96, dtype=torch.bool), torch.zeros(0, 32, 48, dtype=torch.bool)
    assert agreed([some, none]).scores.tolist() == [pytest.approx(0.4)]


def test_what_one_size_alone_shows_is_neither_object_nor_background():
    labels = PseudoLabels(tiny.build_sed(tiny.faster_rcnn()).student, sizes=[1.6])
    both, one = (0.0, 0, 20, 20, 0.9, 0), (40.0, 40, 60, 60, 0.9, 1)
    sample = labels.labelled(tiny.sample((64, 96)), agreed([look(both), look(both, one)]))
    assert sample.gt_instances.bboxes.tolist() == [[0, 0, 20, 20]]
    assert sample.ignored_instances.bboxes.tolist() == [[40, 40, 60, 60]]


@pytest.mark.parametrize('kind', ['retinanet', 'faster_rcnn'])
def test_a_student_learns_from_them(kind):
    """A step with labels from two sizes, not from those of one: another loss, with gradients."""
    terms = []
    for sizes in ([], [2.0]):
        options = dict(score_thr=0.008, ignore_thr=0.008, sizes=sizes)
        model = tiny.build_sed(DETECTORS[kind](), lambda_s=0.0, lambda_d=0.0, pseudo_labels=options)
        tiny.keep_all_scores(model.teacher)
        torch.manual_seed(3)
        losses = tiny.losses_of(model, tiny.make_batch())
        sum(value for name, value in losses.items() if '_loss_pseudo_' in name).backward()
        assert any(value.grad is not None and value.grad.any() for value in model.student.parameters())
        terms.append([float(value.detach()) for name, value in losses.items() if '_loss_pseudo_' in name])
    assert np.isfinite(terms).all() and terms[0] != terms[1]


@pytest.mark.parametrize('sizes', [1.6, '1.6', [0], [-1.0], [16], ['2'], [True], [float('nan')], ''])
def test_sizes_that_are_none_are_refused(sizes):
    with pytest.raises(UserError, match='sizes of pseudo_labels'):
        PseudoLabels(tiny.build_sed(tiny.retinanet()).student, sizes=sizes)


def test_a_mirror_is_there_or_not():
    with pytest.raises(UserError, match="mirror of pseudo_labels is 'no'"):
        PseudoLabels(tiny.build_sed(tiny.retinanet()).student, mirror='no')
