"""Checks of VOC-style data before training: mmdet's XMLDataset drops what it does not know in silence."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sssd.datasets.parts import read_objects
from sssd.errors import UserError

_MAX_FILES = 2000  # so many images and labels are looked at, evenly spread over a data set


def check_xml(key: str, dataset: dict, ann_file: str, folder: str, classes: Sequence[str], labelled: bool) -> str:
    """Check an ``XMLDataset`` or ``VOCDataset``: its images, its labels, its classes.

    Args:
        key: The data set's key in the config.
        dataset: The data set's config.
        ann_file: The text file that names the images.
        folder: The folder of ``img_subdir`` and ``ann_subdir``.
        classes: Class names of the config.
        labelled: Whether training or evaluation needs its boxes.

    Returns:
        A line for the log.

    Raises:
        UserError: For a missing file, or if no box counts: all are of other classes or difficult.
    """
    names = Path(ann_file).read_text().splitlines()
    if not names:
        raise UserError(f'{ann_file} of {key} names no image; give a list with one name a line.')
    looked_at = names[:: -(-len(names) // _MAX_FILES)]
    images, labels = (
        os.path.join(folder, dataset.get(name, default))
        for name, default in (('img_subdir', 'JPEGImages'), ('ann_subdir', 'Annotations'))
    )
    found, difficult = Counter(), 0
    for name in looked_at:
        for path in (os.path.join(images, f'{name}.jpg'), os.path.join(labels, f'{name}.xml')):
            if not os.path.isfile(path):
                raise UserError(
                    f'{path} of {key} does not exist; check data_prefix.sub_data_root and {ann_file}, '
                    'which names .jpg images without their extension.'
                )
        objects = read_objects(os.path.join(labels, f'{name}.xml'))
        found.update(name for name, _ in objects)
        difficult += sum(flag for name, flag in objects if name in classes)
    boxes = sum(found[name] for name in classes)
    if labelled and boxes == difficult:
        raise UserError(
            f'{ann_file} of {key} has no box that counts of the classes {", ".join(classes[:6])}; its '
            f'boxes are of {", ".join(sorted(found)[:6]) or "no class"}: set metainfo=dict(classes=...) '
            'to these.'
        )
    others = sum(found.values()) - boxes
    return (
        f'{key}: {len(names)} images of {ann_file}; in the {len(looked_at)} looked at {boxes} boxes of '
        f'{len(classes)} classes, {difficult} of them difficult, and {others} of other classes, which are left out'
    )
