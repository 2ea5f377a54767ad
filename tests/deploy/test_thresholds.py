"""Thresholds of predictions: from words, and from labelled images."""

import math
import os
from types import SimpleNamespace

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from sssd.datasets.labels import read_labels
from sssd.deploy.predict import Found, above, floored
from sssd.deploy.thresholds import DEFAULT, Suggestion, _best, suggest, thresholds_of, validation_of
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


def test_the_box_that_was_chosen_is_taken():
    """Whatever its score, by the number of four digits; and none that was not counted with it."""
    scores = torch.rand(2000).sort().values
    scores = torch.cat([scores, (torch.arange(1, 2000) / 1e4).nextafter(scores.new_zeros(1)), torch.tensor([0.7, 0.0])])
    found = InstanceData(scores=scores, labels=torch.zeros(len(scores), dtype=torch.long))
    short = torch.tensor([floored(score) for score in scores.tolist()], dtype=torch.float64)
    for threshold in short[::29].tolist():
        assert threshold == round(threshold, 4)
        assert torch.equal(above(found, [threshold]).scores, scores[short >= threshold])
        assert torch.equal(above(found, float(f'{threshold}')).scores, scores[short >= threshold])
    assert (short.float() <= scores).all() and (scores - short < 1.01e-4).all()


@pytest.mark.parametrize('least', [0.69996, 0.70004])
def test_a_suggestion_takes_what_it_counted(tiny_coco, monkeypatch, least):
    """One box of each image is found, the first of all with the least score, and a wrong one with a lower score."""
    labels = read_labels(str(tiny_coco.ann_file), str(tiny_coco.img_dir), 'train')
    found = {}
    for number, image in enumerate(labels.coco['images']):
        first = next(thing for thing in labels.coco['annotations'] if thing['image_id'] == image['id'])
        (x, y, w, h), label = first['bbox'], first['category_id'] - 1
        boxes = torch.tensor([[x, y, x + w, y + h], [0.0, 0.0, 2.0, 2.0]])
        sure = torch.tensor([least + 0.01 * number, 0.1])
        instances = InstanceData(bboxes=boxes, scores=sure, labels=torch.tensor([label, label]))
        meta = dict(ori_shape=(image['height'], image['width']))
        found[image['file_name']] = DetDataSample(pred_instances=instances, metainfo=meta)
    monkeypatch.setattr(
        'sssd.deploy.thresholds.detect',
        lambda inferencer, paths, batch_size: (Found(path, found[os.path.basename(path)]) for path in paths),
    )
    model = SimpleNamespace(dataset_meta=dict(classes=tiny_coco.classes))
    suggested, _ = suggest(SimpleNamespace(model=model), labels)
    thresholds = [suggested[name].threshold for name in tiny_coco.classes]
    assert min(thresholds) == math.floor(least * 1e4) / 1e4
    assert [len(above(each.pred_instances, thresholds)) for each in found.values()] == [1] * len(found)


def test_labels_that_are_not_there_are_told(tmp_path):
    with pytest.raises(UserError, match='does not tell those of its validation: name some with --validation'):
        validation_of(None, None)
    with pytest.raises(UserError, match=r'those of the validation \(gone.json\) are not here'):
        validation_of(dict(labels='gone.json', images=str(tmp_path)), None)
