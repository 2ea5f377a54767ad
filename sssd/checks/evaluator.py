"""Does the annotation file of an evaluator fit the data it evaluates?  Asked before hours of training end there."""

import os
from collections.abc import Iterator, Sequence

import numpy as np

from sssd.checks.findings import Findings
from sssd.checks.ids import check_evaluated_ids, check_ids
from sssd.checks.labels import type_name
from sssd.checks.reading import Files
from sssd.checks.table import Table
from sssd.errors import shorten


def formats_only(evaluator) -> bool:
    """Whether an evaluator writes results alone, for a server that has the labels, as with COCO's test-dev."""
    found = list(_metrics(evaluator))
    return bool(found) and all(metric.get('format_only') for metric in found)


def check_evaluator(
    findings: Findings, files: Files, key: str, evaluator, classes: Sequence[str] | None, data_file: str | None
) -> None:
    """Check the annotation files of one or several metrics: that they exist, and those of a ``CocoMetric`` also for
    other classes or another order of them, for what pycocotools reads, and for the images of the data.

    Args:
        findings: Where to.
        files: The files that were read already.
        key: The evaluator's key in the config.
        evaluator: Its config: a metric, a list of them, or None.
        classes: Class names of the data it evaluates; None if they are not known.
        data_file: The COCO file of which all images are evaluated; None if that is not known.
    """
    for metric in _metrics(evaluator):
        ann_file = metric.get('ann_file')
        if not ann_file or '://' in ann_file or metric.get('backend_args'):
            continue
        if not os.path.exists(ann_file):
            findings.error(
                'missing-file',
                key,
                f'{key}.ann_file={ann_file} does not exist; give the annotation file of the data set it evaluates.',
            )
        elif type_name(metric) == 'CocoMetric' and not metric.get('format_only'):
            _check_coco_metric(findings, files, f'{key}.ann_file={ann_file}', metric, classes, data_file)


def _metrics(evaluator) -> Iterator[dict]:
    for metric in evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]:
        if metric:
            yield metric


def _check_coco_metric(
    findings: Findings, files: Files, what: str, metric: dict, classes: Sequence[str] | None, data_file: str | None
) -> None:
    table = files.table(metric['ann_file'], annotations=False, fields=('id',))
    if table is None:
        return
    order = range(len(table.classes))
    if metric.get('sort_categories'):
        order = sorted(order, key=lambda place: str(table.category_ids[place]).zfill(20))
    names = [table.classes[place] for place in order]
    known = [name for name in names if classes is None or name in classes]
    if classes is not None and list(dict.fromkeys(known)) != list(classes):
        findings.error(
            'class-order',
            what,
            f'{what} does not list the classes of the data it evaluates, {shorten(classes)}, in this '
            f'order, but {shorten(names)}; give the file of these data.',
        )
    check_ids(findings, table, labelled=True)
    check_evaluated_ids(findings, what, table, is_own(metric))
    evaluated = np.array([name in set(known) for name in table.classes] + [False])[table.category]
    for field, there, example in (
        ('area', table.has_area, 'width times height of the box'),
        ('iscrowd', table.has_crowd, '0'),
    ):
        if (evaluated & ~there).any():
            findings.error(
                'missing-field',
                what,
                f'{what} has annotations without {field!r}, which pycocotools reads: add it, such as {example}.',
                (evaluated & ~there).sum(),
            )
    _check_images(findings, files, what, metric['ann_file'], table, data_file)


def is_own(metric: dict) -> bool:
    """Whether a metric is ``sssd.CocoMetric``, which numbers annotations itself."""
    kind = metric.get('type')
    return kind == 'sssd.CocoMetric' or getattr(kind, '__module__', '').startswith('sssd.')


def _check_images(
    findings: Findings, files: Files, what: str, ann_file: str, table: Table, data_file: str | None
) -> None:
    """Find images of the data that the evaluator's file does not have."""
    if data_file is None or not os.path.isfile(data_file) or os.path.samefile(ann_file, data_file):
        return
    other = files.table(data_file, annotations=False)
    absent = set(other.image_ids) - set(table.image_ids) if other is not None else ()
    if absent:
        findings.error(
            'images',
            what,
            f'{what} lacks {len(absent)} of the {len(set(other.image_ids))} images of {data_file}, such as that '
            f'of id {min(absent, key=str)}; give the annotation file of the data set it evaluates.',
            len(absent),
            sorted(absent, key=str),
        )
