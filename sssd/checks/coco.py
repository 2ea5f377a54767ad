"""All questions to one data set in COCO's format."""

import os
from collections.abc import Sequence

from sssd.checks.boxes import check_boxes
from sssd.checks.classes import check_names
from sssd.checks.files import Images, look_at
from sssd.checks.findings import number_of
from sssd.checks.ids import check_ids
from sssd.checks.overlap import Source
from sssd.checks.run import Run
from sssd.checks.sizes import check_sizes
from sssd.checks.sources import decodes_by_opencv, scales_deep, turns_by_exif
from sssd.checks.table import Table
from sssd.checks.usage import tell_use, usage_of


def check_coco(
    run: Run, key: str, dataset: dict, ann_file: str, folder: str, classes: Sequence[str], labelled: bool
) -> None:
    """Check a ``CocoDataset``: its file, its classes, its boxes and its images.

    Args:
        run: Where to, and how thoroughly.
        key: The data set's key in the config.
        dataset: Its config.
        ann_file: Its annotation file.
        folder: The folder of its images.
        classes: Class names of the config.
        labelled: Whether its labels are used.
    """
    table = run.files.table(ann_file, annotations=labelled)
    if table is None:
        return
    check_ids(run.findings, table, labelled or len(table.ids) > 0)
    agree = check_names(run.findings, key, table, classes, labelled)
    wrong_size = _check_images(run, key, dataset, table, folder, labelled)
    if len(table.ids) and not table.has_area.all():
        run.findings.error(
            'missing-field',
            ann_file,
            f'{ann_file} of {key} has annotations without an area, which mmdet reads: add it, such as '
            'width times height of the box.',
            (~table.has_area).sum(),
        )
    if labelled:
        check_boxes(run.findings, table, wrong_size)
    usage = usage_of(table, classes, dataset)
    boxes = int(usage.boxes.sum())
    if agree:
        tell_use(run.findings, key, dataset, table, usage, classes, labelled)
    run.findings.lines.append(
        f'{key}: {number_of(len(usage.images), "image")}, {number_of(boxes, "box")}, '
        f'{number_of(len(classes), "class")}, of {ann_file}'
    )


def _check_images(run: Run, key: str, dataset: dict, table: Table, folder: str, labelled: bool):
    """Look at the images; which of them have another size than the file says, None if that is not known."""
    if not os.path.isdir(folder or '.'):
        return None
    paths = [os.path.join(folder, name) for name in table.names]
    rules = None if dataset.get('test_mode') else dataset.get('filter_cfg')
    images = Images(
        table.path,
        paths,
        turns_by_exif(dataset),
        decodes_by_opencv(dataset),
        scales_deep(dataset),
        least=(rules or {}).get('min_size', 0),
    )
    headers = look_at(run.findings, images, run.thorough, run.headers)
    run.sources.append(Source(run.role_of(key, labelled), table.path, paths, headers, folder or '.'))
    return check_sizes(run.findings, table, paths, headers, images.turns, labelled)
