"""Checks of VOC-style data before training: mmdet's XMLDataset drops what it does not know in silence."""

import os
from collections import Counter
from collections.abc import Sequence

from sssd.checks.files import Images, look_at, spread
from sssd.checks.overlap import Source
from sssd.checks.reading import text_lines
from sssd.checks.run import Run
from sssd.checks.sources import decodes_by_opencv, scales_deep, turns_by_exif
from sssd.datasets.parts import read_objects
from sssd.errors import UserError


def check_xml(
    run: Run, key: str, dataset: dict, ann_file: str, folder: str, classes: Sequence[str], labelled: bool
) -> None:
    """Check an ``XMLDataset`` or ``VOCDataset``: its images, its labels, its classes.

    Args:
        run: Where to, and how thoroughly.
        key: The data set's key in the config.
        dataset: The data set's config.
        ann_file: The text file that names the images.
        folder: The folder of ``img_subdir`` and ``ann_subdir``.
        classes: Class names of the config.
        labelled: Whether training or evaluation needs its boxes.
    """
    names = text_lines(ann_file)
    if not names:
        raise UserError(f'{ann_file} of {key} names no image; give a list with one name a line.')
    images, labels = (
        os.path.join(folder, dataset.get(name, default))
        for name, default in (('img_subdir', 'JPEGImages'), ('ann_subdir', 'Annotations'))
    )
    looked_at = spread(names, run.thorough)
    paths = [path for name in looked_at for path in (f'{images}/{name}.jpg', f'{labels}/{name}.xml')]
    missing = [os.path.normpath(path) for path in paths if not os.path.isfile(path)]
    if missing:
        run.findings.error(
            'missing',
            ann_file,
            f'{missing[0]} of {key} does not exist{f" ({len(missing)} such files)" if len(missing) > 1 else ""}; check '
            f'data_prefix.sub_data_root and {ann_file}, which names .jpg images without their extension.',
            len(missing),
            missing,
        )
    there = [path for path in (os.path.join(images, f'{name}.jpg') for name in names) if path not in set(missing)]
    asked = Images(ann_file, there, turns_by_exif(dataset), decodes_by_opencv(dataset), scales_deep(dataset))
    headers = look_at(run.findings, asked, run.thorough, run.headers)
    run.sources.append(Source(run.role_of(key, labelled), ann_file, there, headers))
    _check_objects(run, key, ann_file, names, looked_at, labels, classes, labelled)


def _check_objects(
    run: Run,
    key: str,
    ann_file: str,
    names: list[str],
    looked_at: list[str],
    labels: str,
    classes: Sequence[str],
    labelled: bool,
) -> None:
    """Count the objects of the XML files, and say so."""
    found, difficult, broken = Counter(), 0, []
    for name in looked_at:
        path = os.path.join(labels, f'{name}.xml')
        if not os.path.isfile(path):
            continue
        try:
            objects = read_objects(path)
        except UserError as error:
            broken.append((path, str(error)))
            continue
        found.update(name for name, _ in objects)
        difficult += sum(flag for name, flag in objects if name in classes)
    if broken:
        run.findings.error('xml', ann_file, broken[0][1], len(broken), [path for path, _ in broken])
    boxes = sum(found[name] for name in classes)
    if labelled and boxes == difficult and not (broken and not found):
        run.findings.error(
            'no-box',
            key,
            f'{ann_file} of {key} has no box that counts of the classes {", ".join(classes[:6])}; its '
            f'boxes are of {", ".join(sorted(map(str, found))[:6]) or "no class"}: set metainfo=dict(classes=...) '
            'to these.',
        )
    others = sum(found.values()) - boxes
    run.findings.lines.append(
        f'{key}: {len(names)} images of {ann_file}; in the {len(looked_at)} looked at {boxes} boxes of '
        f'{len(classes)} classes, {difficult} of them difficult, and {others} of other classes, which are left out'
    )
