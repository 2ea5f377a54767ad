"""Are boxes in another form than their file's?  Told by a reading of the same four numbers by which all are right."""

from collections.abc import Callable

import numpy as np

from sssd.checks.table import Table

#: A box may reach so far beyond its image, in pixels and as a part of the side: rounding, and labels at the border.
SLACK, SLACK_PART = 2.0, 0.02
#: So large a part of the boxes tells of all of them that they are in another form.
MOST, ALL, SOME = 0.5, 0.98, 0.1
#: So many boxes of which none ends beyond so large a part of its image, neither across nor down, are of smaller images.
CONFINED, CONFINED_PART = 50, 0.75
#: So many boxes between 0 and 100, some of them near 100 both ways, are shares in percent.
PERCENT = 10


def _corners(box: np.ndarray) -> np.ndarray:
    return box


def _centred(box: np.ndarray) -> np.ndarray:
    return np.concatenate([box[:, :2] - box[:, 2:] / 2, box[:, :2] + box[:, 2:] / 2], axis=1)


def _exchanged(box: np.ndarray) -> np.ndarray:
    return np.concatenate([box[:, 1::-1], box[:, 1::-1] + box[:, :1:-1]], axis=1)


def _of_middle(box: np.ndarray) -> np.ndarray:
    """The numbers x, y, width and height of which x - width / 2 and so on were taken."""
    return np.concatenate([box[:, :2] + box[:, 2:] / 2, box[:, 2:]], axis=1)


def _from_middle(box: np.ndarray) -> np.ndarray:
    return np.concatenate([box[:, :2] + box[:, 2:] / 2, box[:, :2] + box[:, 2:] * 1.5], axis=1)


#: What four numbers may be in the place of COCO's x, y, width and height: corners of it, and what to say.
READINGS: dict[str, tuple[Callable, str]] = {
    'corners': (_corners, 'all were x1, y1, x2, y2, as they seem to be: COCO has x, y, width, height, so write x2 - x1 '
                'and y2 - y1.'),
    'centred': (_centred, 'x, y were the middle of the box, as they seem to be: COCO has its upper left corner, so '
                'write x - width / 2 and y - height / 2.'),
    'exchanged': (_exchanged, 'all were y, x, height, width, as they seem to be: COCO has x, y, width, height, so '
                  'exchange them.'),
    'corners-as-middle': (_of_middle, 'they came of x1, y1, x2, y2 taken for the middle, width and height, as they '
                          'seem to: a line of YOLO has the middle, so correct the labels that these were made from.'),
    'corner-as-middle': (_from_middle, 'they came of a box whose upper left corner was taken for its middle, as they '
                         'seem to: a line of YOLO has the middle, so correct the labels that these were made from.'),
}  # fmt: skip


def beyond(corners: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """By how many pixels boxes (x1, y1, x2, y2) reach beyond images of ``sizes``."""
    return np.maximum(-corners[:, :2], corners[:, 2:] - sizes).max(axis=1, initial=0)


def slack(sizes: np.ndarray) -> np.ndarray:
    """How far beyond images of ``sizes`` a box may reach."""
    return np.maximum(SLACK, SLACK_PART * sizes.max(axis=1))


def outside(table: Table, where: np.ndarray) -> np.ndarray:
    """(N,) which of the boxes at ``where`` reach far outside of their images."""
    box, sizes = table.boxes[where], table.sizes[table.image[where]]
    with np.errstate(over='ignore'):
        ends = np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], axis=1)
    places = np.zeros(len(where), bool)
    places[np.flatnonzero(where)[beyond(ends, sizes) > slack(sizes)]] = True
    return places


def reading(table: Table, where: np.ndarray, out: np.ndarray) -> tuple[str, str] | None:
    """The kind and the sentence of the reading by which all boxes are inside of their images, if one is.

    Args:
        table: The file.
        where: (N,) boxes of which something can be said.
        out: (N,) those that reach outside.
    """
    box, sizes = table.boxes[where], table.sizes[table.image[where]]
    if table.form != 'COCO' or len(box) < 2 or out[where].mean() < SOME:
        return None
    for kind, (read, what) in READINGS.items():
        with np.errstate(over='ignore'):
            corners = read(box)
        fits = (corners[:, 2:] > corners[:, :2]).all(axis=1) & (beyond(corners, sizes) <= slack(sizes))
        if fits.mean() >= ALL:
            return kind, what
    return None


def shares(table: Table, known: np.ndarray) -> np.ndarray:
    """(N,) boxes whose numbers are parts of the image, from 0 to 1, in place of pixels."""
    boxes = table.boxes
    with np.errstate(invalid='ignore'):
        small = np.abs(np.where(table.finite[:, None], boxes, 2)).max(axis=1) <= 1
        return known & small & (boxes[:, 2:] > 0).all(axis=1)


def in_percent(table: Table, known: np.ndarray) -> bool:
    """Whether boxes seem to be in percent: none ends beyond 100, some near it both ways, in images that are larger."""
    box, sizes = table.boxes[known], table.sizes[table.image[known]]
    with np.errstate(over='ignore'):
        ends = box[:, :2] + box[:, 2:]
    if len(box) < PERCENT or not (sizes.min(axis=1) > 110).all() or (box < 0).any():
        return False
    return ends.max() <= 100.5 and bool((ends.max(axis=0) > 90).all())


def confined(table: Table, known: np.ndarray) -> tuple[float, float] | None:
    """The parts of width and height beyond which no box of several images ends, if both are small."""
    box, sizes = table.boxes[known], table.sizes[table.image[known]]
    if len(box) < CONFINED or len(np.unique(table.image[known])) < 10 or not (sizes > 0).all():
        return None
    with np.errstate(over='ignore', invalid='ignore'):
        across, down = ((box[:, :2] + box[:, 2:]) / sizes).max(axis=0)
    starts = (box[:, :2] / sizes).min(axis=0)  # objects in the middle of their images begin later
    return (across, down) if max(across, down) < CONFINED_PART and max(starts) < 1 - CONFINED_PART else None


def are_sides(table: Table, where: np.ndarray) -> np.ndarray | None:
    """(N,) VOC's boxes that end before they begin, if as x, y, width and height all would be right."""
    box, sizes = table.boxes[where], table.sizes[table.image[where]]
    negative = (box[:, 2:] < 0).any(axis=1)
    start = box[:, :2] + 1
    sides = box[:, 2:] + start
    fits = (sides > 0).all(axis=1) & (beyond(np.concatenate([start, start + sides], axis=1), sizes) <= slack(sizes))
    if len(box) < 2 or negative.mean() < SOME or fits.mean() < ALL:
        return None
    places = np.zeros(len(where), bool)
    places[np.flatnonzero(where)[negative]] = True
    return places
