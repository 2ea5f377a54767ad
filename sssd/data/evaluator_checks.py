# Copyright (c) sssd contributors. Licensed under the Apache License 2.0.
"""Does the annotation file of an evaluator fit the data it evaluates?  Asked before hours of training end there."""
import os
from typing import Optional

from sssd.errors import UserError

from .json_io import read_coco


def check_evaluator(key: str, evaluator, data_file: Optional[str]) -> None:
    """Check the annotation files of one or several metrics.

    Args:
        key: The evaluator's key in the config.
        evaluator: Its config: a metric, a list of them, or None.
        data_file: The annotation file of the one data set it evaluates; None if that is not known.

    Raises:
        UserError: If a file does not exist; for a ``CocoMetric`` also if it lacks what pycocotools reads, or images of
            the data set, or has other categories than that.
    """
    for metric in evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]:
        ann_file = (metric or {}).get('ann_file')
        if not ann_file or '://' in ann_file:
            continue
        if not os.path.isfile(ann_file):
            raise UserError(f'{key}.ann_file={ann_file} does not exist; give the annotation file '
                            'of the data set it evaluates.')
        if str(metric.get('type')).split('.')[-1] == 'CocoMetric':
            _check_coco_metric(f'{key}.ann_file={ann_file}', ann_file, data_file)


def _check_coco_metric(what: str, ann_file: str, data_file: Optional[str]) -> None:
    coco = read_coco(ann_file, annotations=False)
    for field in ('area', 'iscrowd'):
        if any(field not in thing for thing in coco.get('annotations') or []):
            raise UserError(f'{what} has annotations without {field!r}, which pycocotools reads: add it, '
                            f'such as {"width times height of the box" if field == "area" else 0}.')
    if data_file is None or not os.path.isfile(data_file) or os.path.samefile(ann_file, data_file):
        return
    data = read_coco(data_file, annotations=False)
    absent = {image['id'] for image in data['images']} - {image['id'] for image in coco['images']}
    if absent:
        raise UserError(f'{what} lacks {len(absent)} of the {len(data["images"])} images of {data_file}, such as that '
                        f'of id {min(absent, key=str)}; give the annotation file of the data set it evaluates.')
    ours, theirs = ([(entry['id'], entry['name']) for entry in found['categories']] for found in (coco, data))
    if ours != theirs:
        raise UserError(f'{what} and {data_file} have different categories or ids of them; give the annotation file of '
                        'the data set it evaluates.')
