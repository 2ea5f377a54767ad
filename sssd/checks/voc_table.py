"""The XML files of Pascal VOC as a table, with what mmdet's XMLDataset reads of them."""

import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from sssd.checks.table import Table
from sssd.datasets.xml_safe import line_of, parse_xml
from sssd.errors import UserError

CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')


@dataclass
class VocFiles:
    """What XML files hold.

    Attributes:
        table: Their objects of the classes that were asked for, boxes as x, y, width, height from 0 on, difficult ones
            as crowds; sizes are NaN where a file has none. Ids of annotations name file and line.
        others: How many objects are of other classes, by their names.
        faults: (kind, file, sentence) of each thing on which XMLDataset fails.
        shifted: How many boxes have a corner at 0 or between pixels, which VOC does not have.
    """

    table: Table
    others: Counter = field(default_factory=Counter)
    faults: list[tuple[str, str, str]] = field(default_factory=list)
    shifted: int = 0


class _Fault(Exception):
    """What is wrong with an element: its kind, and a sentence without the file."""


def read_voc(
    source: str, names: Iterable[str], labels: str, classes: Sequence[str], bbox_min_size: float | None = None
) -> VocFiles:
    """Read the XML files of images; one that is not there counts as without objects.

    Args:
        source: What names the images, for sentences.
        names: Names of the images without extension.
        labels: The folder of the XML files.
        classes: The classes of the config; objects of others are counted alone, as XMLDataset passes them over.
        bbox_min_size: ``filter_cfg.bbox_min_size``: objects with a shorter side are ignored.
    """
    names, rows, sizes = list(names), [], []
    found = VocFiles(None)
    for place, name in enumerate(names):
        path, size, things = os.path.join(labels, f'{name}.xml'), (np.nan, np.nan), ()
        try:
            root = parse_xml(path) if os.path.isfile(path) else None
        except UserError as error:
            found.faults.append(('parse', path, f'{path} is no VOC annotation file ({error}).'))
            root = None
        if root is not None:
            size = _asked(found, path, _size, root.find('size')) or size
            things = root.iterfind('object')
        sizes.append(size)
        for thing in things:
            read = _asked(found, path, _object, thing, classes, found.others)
            if read is not None:
                rows.append((place, f'{name}.xml, line {line_of(thing)}', *read))
    found.table = _table(source, names, sizes, rows, classes, bbox_min_size)
    corners = np.array([row[-1] for row in rows], float).reshape(-1, 4)
    with np.errstate(invalid='ignore'):
        odd = (corners == 0) | (np.isfinite(corners) & (corners != np.trunc(corners)))
    found.shifted = int(odd.any(axis=1).sum())
    return found


def _asked(found: VocFiles, path: str, read, element, *more):
    """What is read of an element; None if it is at fault, which is kept."""
    try:
        return read(element, *more)
    except _Fault as fault:
        kind, said, line = fault.args
        found.faults.append((kind, path, f'{path}, line {line}: {said}.'))
        return None


def _size(size) -> tuple[float, float] | None:
    if size is None:
        return None
    return tuple(_number(int, size, side, 'size', line_of(size)) for side in ('width', 'height'))


def _number(read: type, element, name: str, kind: str, line: int) -> float:
    """A number, as Python's ``int`` or ``float`` reads it and no other."""
    text = element.findtext(name)
    try:
        return read(text)
    except (TypeError, ValueError):
        said = f'is {text[:40]!r}' if text else 'is missing or empty'
        what = 'a whole number' if read is int else 'a number'
        raise _Fault(kind, f'<{name}> {said}, but has to be {what}', line) from None


def _object(thing, classes: Sequence[str], others: Counter) -> tuple[int, bool, list[float]] | None:
    """Place of its class, whether it is difficult, and its corners; None if it is of another class."""
    line, name = line_of(thing), thing.find('name')
    if name is None:
        raise _Fault('name', 'an <object> has no <name>', line)
    if name.text not in classes:
        others[name.text or ''] += 1
        return None
    difficult = thing.find('difficult') is not None and _number(int, thing, 'difficult', 'difficult', line) != 0
    box = thing.find('bndbox')
    if box is None:
        raise _Fault('bndbox', 'an <object> has no <bndbox>', line)
    corners = [_number(float, box, side, 'corner', line) for side in CORNERS]
    return list(classes).index(name.text), difficult, corners


def _table(
    source: str, names: list[str], sizes: list, rows: list[tuple], classes: Sequence[str], bbox_min_size: float | None
) -> Table:
    count = len(rows)
    owners, ids, kinds, difficult, corners = zip(*rows) if rows else [()] * 5
    corners = np.array(corners, float).reshape(count, 4)
    with np.errstate(invalid='ignore'):
        boxes = np.concatenate([corners[:, :2] - 1, corners[:, 2:] - corners[:, :2]], axis=1)
        whole = np.trunc(corners)
        short = (whole[:, 2:] - whole[:, :2] < (-math.inf if bbox_min_size is None else bbox_min_size)).any(axis=1)
    return Table(
        path=source,
        image_ids=list(range(len(names))),
        names=[f'{name}.jpg' for name in names],
        sizes=np.array(sizes, float).reshape(len(names), 2),
        ids=list(ids),
        owners=list(owners),
        kinds=list(kinds),
        boxes=boxes,
        areas=np.full(count, np.nan),
        has_area=np.zeros(count, bool),
        has_crowd=np.ones(count, bool),
        crowd=np.array(difficult, bool),
        ignored=short,
        category_ids=list(range(len(classes))),
        classes=list(classes),
        form='VOC',
    )
