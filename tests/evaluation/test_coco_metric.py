"""A perfect detector has AP 1, whatever the ids of the annotations are."""

import json

import numpy as np
import pytest
import torch
from mmdet.evaluation import CocoMetric as MMDetCocoMetric

from sssd.evaluation import CocoMetric


def perfect(metric, coco, classes):
    """The AP of detections that are the annotations."""
    metric.dataset_meta = dict(classes=classes)
    for image in coco['images']:
        things = [thing for thing in coco['annotations'] if thing['image_id'] == image['id']]
        boxes = np.array([thing['bbox'] for thing in things], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = torch.tensor([thing['category_id'] - 1 for thing in things])
        found = dict(bboxes=torch.from_numpy(boxes), scores=torch.ones(len(things)), labels=labels)
        metric.process({}, [dict(pred_instances=found, img_id=image['id'], ori_shape=(96, 96))])
    return metric.evaluate(len(coco['images']))['coco/bbox_mAP']


@pytest.mark.parametrize('first', [0, 1, '0'])
def test_the_ap_of_a_perfect_detector(tiny_coco, first):
    coco = json.loads(tiny_coco.ann_file.read_text())
    for number, thing in enumerate(coco['annotations']):
        thing['id'] = str(number) if isinstance(first, str) else number + first
    tiny_coco.ann_file.write_text(json.dumps(coco))
    assert perfect(CocoMetric(str(tiny_coco.ann_file)), coco, tiny_coco.classes) == 1
    if first == 0:  # what it is for
        assert perfect(MMDetCocoMetric(str(tiny_coco.ann_file)), coco, tiny_coco.classes) < 0.95


def test_without_a_file_it_is_mmdets(tiny_coco):
    assert CocoMetric()._coco_api is None
