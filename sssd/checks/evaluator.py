"""Does the annotation file of an evaluator fit the data it evaluates?  Asked before hours of training end there."""

import os
from collections.abc import Iterator, Sequence

from sssd.checks.labels import type_name
from sssd.datasets.json_io import read_coco
from sssd.errors import UserError, shorten


def formats_only(evaluator) -> bool:
    """Whether an evaluator writes results alone, for a server that has the labels, as with COCO's test-dev."""
    found = list(_metrics(evaluator))
    return bool(found) and all(metric.get('format_only') for metric in found)


def check_evaluator(key: str, evaluator, classes: Sequence[str] | None, data_file: str | None) -> None:
    """Check the annotation files of one or several metrics.

    Args:
        key: The evaluator's key in the config.
        evaluator: Its config: a metric, a list of them, or None.
        classes: Class names of the data it evaluates; None if they are not known.
        data_file: The COCO file of which all images are evaluated; None if that is not known.

    Raises:
        UserError: If a file does not exist; for a ``CocoMetric`` also if it has other classes or another order of them,
            or lacks what pycocotools reads, or images of the data.
    """
    for metric in _metrics(evaluator):
        ann_file = metric.get('ann_file')
        if not ann_file or '://' in ann_file or metric.get('backend_args'):
            continue
        if not os.path.isfile(ann_file):
            raise UserError(
                f'{key}.ann_file={ann_file} does not exist; give the annotation file of the data set it evaluates.'
            )
        if type_name(metric) == 'CocoMetric' and not metric.get('format_only'):
            _check_coco_metric(f'{key}.ann_file={ann_file}', metric, classes, data_file)


def _metrics(evaluator) -> Iterator[dict]:
    for metric in evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]:
        if metric:
            yield metric


def _check_coco_metric(what: str, metric: dict, classes: Sequence[str] | None, data_file: str | None) -> None:
    coco = read_coco(metric['ann_file'], annotations=False, image_fields=['id'])
    categories = coco['categories']
    if metric.get('sort_categories'):
        categories = sorted(categories, key=lambda category: category['id'])
    known = [category for category in categories if classes is None or category['name'] in classes]
    if classes is not None and [category['name'] for category in known] != list(classes):
        raise UserError(
            f'{what} does not list the classes of the data it evaluates, {shorten(classes)}, in this '
            f'order, but {shorten([category["name"] for category in categories])}; give the file of these '
            'data.'
        )
    evaluated = {category['id'] for category in known}
    for field, example in (('area', 'width times height of the box'), ('iscrowd', '0')):
        if any(
            thing.get(field) is None for thing in coco.get('annotations') or [] if thing['category_id'] in evaluated
        ):
            raise UserError(
                f'{what} has annotations without {field!r}, which pycocotools reads: add it, such as {example}.'
            )
    if data_file is None or not os.path.isfile(data_file) or os.path.samefile(metric['ann_file'], data_file):
        return
    data = {image['id'] for image in read_coco(data_file, annotations=False)['images']}
    absent = data - {image['id'] for image in coco['images']}
    if absent:
        raise UserError(
            f'{what} lacks {len(absent)} of the {len(data)} images of {data_file}, such as that '
            f'of id {min(absent, key=str)}; give the annotation file of the data set it evaluates.'
        )
