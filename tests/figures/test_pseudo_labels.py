"""Recall and precision of pseudo-labels on hand-made boxes, and against a greedy matching in NumPy."""

import numpy as np
import pytest

from sssd.figures.pseudo_labels import Image, draw_recall_precision, recall_precision
from sssd.figures.style import plt

BOX, FAR = [0, 0, 100, 100], [200, 200, 300, 300]


def image(truth=(), found=()):
    """``truth``: (box, label[, crowd]); ``found``: (box, label, score)."""
    return Image(
        np.array([row[0] for row in truth], float).reshape(-1, 4),
        np.array([row[1] for row in truth], int),
        np.array([len(row) > 2 and row[2] for row in truth], bool),
        np.array([row[0] for row in found], float).reshape(-1, 4),
        np.array([row[1] for row in found], int),
        np.array([row[2] for row in found], float),
    )


def numbers(images, thresholds=(0.5,), classes=2):
    found = recall_precision(images, classes, thresholds)
    return {float(iou): (values['recall'], values['precision']) for iou, values in found['iou'].items()}


def test_a_box_that_is_right_at_one_iou_only():
    close = [0, 0, 100, 80]  # IoU 0.8
    found = numbers([image([(BOX, 0), (FAR, 1)], [(close, 0, 0.9)])])
    assert found == {0.5: ([0.5], [1.0]), 0.9: ([0.0], [0.0])}


def test_a_threshold_takes_boxes_away_and_counts_those_on_it():
    images = [image([(BOX, 0), (FAR, 0)], [(BOX, 0, 0.5), (FAR, 0, 0.25), ([400, 400, 500, 500], 0, 0.25)])]
    found = numbers(images, (0.25, 0.5, 0.75))
    assert found[0.5] == ([1.0, 0.5, 0.0], [2 / 3, 1.0, None])
    assert recall_precision(images, 2, (0.25, 0.5, 0.75))['pseudo_labels'] == [3, 1, 0]


def test_a_second_box_on_an_object_is_wrong_and_so_is_another_class():
    assert numbers([image([(BOX, 0)], [(BOX, 0, 0.9), (BOX, 0, 0.8)])])[0.5] == ([1.0], [0.5])
    assert numbers([image([(BOX, 0)], [(BOX, 1, 0.9)])])[0.5] == ([0.0], [0.0])


def test_crowds_neither_count_nor_make_errors():
    found = numbers([image([(BOX, 0, True), (FAR, 0)], [(BOX, 0, 0.9), (BOX, 0, 0.8), (FAR, 0, 0.7)])])
    assert found[0.5] == ([1.0], [1.0])


def test_no_object_no_detection_no_image():
    assert numbers([image(found=[(BOX, 0, 0.9)])])[0.5] == ([None], [0.0])
    assert numbers([image([(BOX, 0)])])[0.5] == ([0.0], [None])
    assert recall_precision([image([(BOX, 0)])], 1)['ap'] == {'all': 0.0, '50': 0.0, '75': 0.0}
    assert numbers([image()])[0.5] == ([None], [None])
    nothing = recall_precision([], 2)
    assert nothing['objects'] == 0 and nothing['iou']['0.9']['class_recall'] == [None] * 20
    plt.close(draw_recall_precision(nothing, 'nothing'))


def iou_of(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def greedy(images, threshold, iou, classes):
    """(right, labelled, objects) for each class: what is below the threshold is removed before anything is matched."""
    result = np.zeros((classes, 3), int)
    for each in images:
        free = list(range(len(each.boxes)))
        for place in np.argsort(-each.scores, kind='stable'):
            if each.scores[place] < threshold:
                continue
            label = each.found_labels[place]
            result[label, 1] += 1
            overlaps = [(iou_of(each.found[place], each.boxes[i]), i) for i in free if each.labels[i] == label]
            best = max(overlaps, default=(0, None))
            if best[0] >= iou:
                free.remove(best[1])
                result[label, 0] += 1
        for label in each.labels:
            result[label, 2] += 1
    return result


@pytest.mark.parametrize('seed', [0, 1])
def test_against_a_greedy_matching(seed):
    rng, classes, images = np.random.default_rng(seed), 3, []
    for _ in range(6):
        corners = rng.uniform(0, 100, (rng.integers(0, 5), 2))
        boxes = np.concatenate([corners, corners + rng.uniform(10, 60, corners.shape)], 1)
        labels = rng.integers(0, classes, len(boxes))
        found = np.repeat(boxes, 3, 0)
        found += rng.normal(0, 3, found.shape) * rng.choice([0.1, 1, 4], (len(found), 1))
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
        images.append(
            Image(
                boxes, labels, np.zeros(len(boxes), bool), found, np.repeat(labels, 3), rng.random(len(found)).round(2)
            )
        )
    thresholds = (0.0, 0.2, 0.55, 0.8, 0.99)
    ours = recall_precision(images, classes, thresholds)
    for iou in (0.5, 0.9):
        values = ours['iou'][str(iou)]
        for place, threshold in enumerate(thresholds):
            table = greedy(images, threshold, iou, classes)
            right, labelled, objects = table.sum(0)
            assert values['recall'][place] == pytest.approx(right / objects)
            assert values['precision'][place] == (pytest.approx(right / labelled) if labelled else None)
            there = table[:, 2] > 0
            assert values['class_recall'][place] == pytest.approx((table[there, 0] / table[there, 2]).mean())
            assert ours['pseudo_labels'][place] == labelled
    assert 0 < ours['iou']['0.9']['recall'][0] < ours['iou']['0.5']['recall'][0]
