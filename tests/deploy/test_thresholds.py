"""Thresholds of predictions: from words, and from labelled images."""

import pytest

from sssd.deploy.thresholds import DEFAULT, Suggestion, _best, thresholds_of, validation_of
from sssd.errors import UserError

CLASSES = ['cell', 'a=b']


def test_words_are_for_all_or_for_a_class():
    assert thresholds_of([], CLASSES) == [DEFAULT, DEFAULT]
    assert thresholds_of(['0.5'], CLASSES) == [0.5, 0.5]
    assert thresholds_of(['cell=0.7', '0.1', 'a=b=1'], CLASSES) == [0.7, 1.0]
    for word, said in (
        ('30', '--threshold is 30, but it takes a score from 0 to 1'),
        ('nan', 'it takes a score'),
        ('cell=high', 'it takes a score'),
        ('cel=0.5', 'the detector has no class cel: it has cell, a=b'),
    ):
        with pytest.raises(UserError, match=said):
            thresholds_of([word], CLASSES)


def test_the_highest_f1_is_found():
    """Two of three objects are found at 0.9 and 0.6, between them is a false one, after them only false ones."""
    boxes = [[0, 0, 10, 10], [20, 0, 10, 10], [40, 0, 10, 10]]
    truth = dict(
        images=[dict(id=7, width=100, height=100, file_name='a.png')],
        annotations=[dict(id=0, image_id=7, category_id=3, bbox=box) for box in boxes],
        categories=[dict(id=3, name='cell'), dict(id=4, name='none')],
    )
    scored = [
        (0.9, boxes[0]),
        (0.7, [70, 70, 10, 10]),
        (0.6, [21, 0, 10, 10]),
        (0.5, [0, 50, 9, 9]),
        (0.4, [60, 50, 9, 9]),
    ]
    rows = [dict(image_id=7, category_id=3, bbox=box, score=score) for score, box in scored]
    assert _best(truth, rows, 3, [7]) == Suggestion(0.6, pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert _best(truth, rows, 4, [7]) == _best(truth, rows, None, [7]) == Suggestion(DEFAULT)
    same = [dict(row, score=0.5) for row in rows]  # all or none
    assert _best(truth, same, 3, [7]) == Suggestion(0.5, pytest.approx(0.4), pytest.approx(2 / 3))
    crowd = [dict(thing, iscrowd=int(thing['bbox'][0] == 40)) for thing in truth['annotations']]
    assert _best(dict(truth, annotations=crowd), rows, 3, [7]).recall == 1.0


def test_labels_that_are_not_there_are_told(tmp_path):
    with pytest.raises(UserError, match='does not tell those of its validation: name some with --validation'):
        validation_of(None, None)
    with pytest.raises(UserError, match=r'those of the validation \(gone.json\) are not here'):
        validation_of(dict(labels='gone.json', images=str(tmp_path)), None)
