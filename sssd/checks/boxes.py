"""Are boxes in pixels, as x, y, width and height, inside of their images, and with an area?"""

import re

import numpy as np

from sssd.checks.findings import Findings, either, level_of, part_of
from sssd.checks.table import Table

#: A box may reach so far beyond its image, in pixels and as a part of the side: rounding, and labels at the border.
SLACK, SLACK_PART = 2.0, 0.02
#: So large a part of the boxes tells of all of them that they are in another form.
MOST, CORNERS = 0.5, 0.98
#: What is right in each form, and what becomes of what is not; ``[one|many]`` goes with the number.
NORMALISED = dict(
    COCO='but COCO has pixels: multiply x and width by the width of the image, y and height by its height.',
    VOC='but VOC has pixels: multiply xmin and xmax by the width of the image, ymin and ymax by its height.',
)
NEGATIVE = dict(
    COCO='and [is|are] left out of training without a word: exchange [its|their] corners or take [it|them] out.',
    VOC='and mmdet trains on [it|them] all the same: exchange [its|their] corners or take [it|them] out.',
)
TINY = dict(
    COCO='training leaves [it|them] out, an evaluation counts [it|them] as missed; take [it|them] out.',
    VOC='mmdet trains on [it|them] all the same, by which its loss can become NaN; take [it|them] out.',
)
_AGREES = re.compile(r'\[([\w ]*)\|([\w ]*)\]')


def check_boxes(findings: Findings, table: Table, wrong_size: np.ndarray | None = None) -> None:
    """Look at the boxes of a file, each kind of mistake told once.

    Args:
        findings: Where to.
        table: The file.
        wrong_size: (M,) images whose size in the file is wrong, so that nothing can be said of what is outside.
    """
    if not len(table.boxes):
        return
    _check_finite(findings, table)
    known = table.finite & (table.image >= 0)
    if _is_normalised(findings, table, known):
        return
    wrong = known & wrong_size[table.image] if wrong_size is not None and len(wrong_size) else ~known
    if table.form == 'VOC' and _are_sides(findings, table, known & ~wrong):
        return
    _check_outside(findings, table, known & ~wrong)
    _check_sides(findings, table)
    _check_areas(findings, table)


def _tell(findings: Findings, table: Table, kind: str, where: np.ndarray, what: str, level: str | None = None) -> None:
    """Add a finding on the annotations at ``where``; what is told begins with their number and that of all."""
    count, total = int(where.sum()), len(where)
    if count:
        examples = [table.ids[place] for place in np.flatnonzero(where)[:100]]
        words = _AGREES.sub(lambda found: either(count, found[1], found[2]), what)
        number = part_of(count, total, 'annotation' if kind.startswith('area-not') else 'box')
        sentence = f'{number} {words.format(ids=f"such as annotation {examples[0]}")}'
        findings.add(level or level_of(count, total), kind, table.path, f'{table.path}: {sentence}', count, examples)


def _check_finite(findings: Findings, table: Table) -> None:
    what = '[has|have] a coordinate that is NaN or infinite ({ids}); correct [it|them] or take [it|them] out.'
    _tell(findings, table, 'not-finite', ~table.finite, what, 'error')


def _is_normalised(findings: Findings, table: Table, known: np.ndarray) -> bool:
    """Whether most boxes are parts of the image, from 0 to 1, in place of pixels."""
    boxes = table.boxes
    where = (
        known & (np.abs(np.where(table.finite[:, None], boxes, 2)).max(axis=1) <= 1) & (boxes[:, 2:] > 0).all(axis=1)
    )
    if where.sum() < MOST * max(1, known.sum()):
        return False
    what = '[has|have] coordinates from 0 to 1 ({ids}), ' + NORMALISED[table.form]
    _tell(findings, table, 'normalised', where, what, 'error')
    return True


def _beyond(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """By how many pixels boxes (x1, y1, x2, y2) reach beyond images of ``sizes``."""
    return np.maximum(-boxes[:, :2], boxes[:, 2:] - sizes).max(axis=1, initial=0)


def _slack(sizes: np.ndarray) -> np.ndarray:
    return np.maximum(SLACK, SLACK_PART * sizes.max(axis=1))


def _check_outside(findings: Findings, table: Table, where: np.ndarray) -> None:
    """Find boxes that reach far outside, and whether they are corners: read so, all would be right."""
    raw, sizes = table.boxes[where], table.sizes[table.image[where]]
    slack = _slack(sizes)
    outside = _beyond(np.concatenate([raw[:, :2], raw[:, :2] + raw[:, 2:]], axis=1), sizes) > slack
    if not outside.any():
        return
    places = np.zeros(len(where), bool)
    places[np.flatnonzero(where)[outside]] = True
    fits = (raw[:, 2:] > raw[:, :2]).all(axis=1) & (_beyond(raw, sizes) <= slack)
    if table.form == 'COCO' and len(raw) > 1 and fits.mean() >= CORNERS and outside.mean() >= 0.1:
        what = (
            '[reaches|reach] far outside of [its image|their images] ({ids}), and none would if all were x1, y1, x2, '
            'y2, as they seem to be: COCO has x, y, width, height, so write x2 - x1 and y2 - y1.'
        )
        _tell(findings, table, 'corners', places, what, 'error')
        return
    what = (
        '[reaches|reach] far outside of [its image|their images] ({ids}); look whether width and height of the images '
        'are right, and whether the boxes are of another size of them.'
    )
    _tell(findings, table, 'outside', places, what)


def _are_sides(findings: Findings, table: Table, where: np.ndarray) -> bool:
    """Whether boxes of VOC seem to be x, y, width and height in the place of corners: read so, all would be right."""
    boxes, sizes = table.boxes[where], table.sizes[table.image[where]]
    negative = (boxes[:, 2:] < 0).any(axis=1)
    start = boxes[:, :2] + 1
    sides = boxes[:, 2:] + start
    fits = (sides > 0).all(axis=1) & (_beyond(np.concatenate([start, start + sides], axis=1), sizes) <= _slack(sizes))
    if len(boxes) < 2 or negative.mean() < 0.1 or fits.mean() < CORNERS:
        return False
    places = np.zeros(len(where), bool)
    places[np.flatnonzero(where)[negative]] = True
    what = (
        '[ends before it begins|end before they begin] ({ids}), and none would if all were x, y, width, height, as '
        'they seem to be: VOC has xmin, ymin, xmax, ymax, so write x + width and y + height.'
    )
    _tell(findings, table, 'corners', places, what, 'error')
    return True


def _check_sides(findings: Findings, table: Table) -> None:
    sides = table.boxes[:, 2:]
    with np.errstate(invalid='ignore'):
        negative = table.finite & (sides < 0).any(axis=1)
        small = table.finite & ~negative & (sides < 1).any(axis=1)
    what = '[has|have] a negative width or height ({ids}), ' + NEGATIVE[table.form]
    _tell(findings, table, 'negative', negative, what)
    what = '[is|are] less than a pixel wide or high ({ids}): ' + TINY[table.form]
    _tell(findings, table, 'tiny', small, what, 'warning')


def _check_areas(findings: Findings, table: Table) -> None:
    """Find boxes that have sides, and an area of 0 or less, or none that is a number."""
    with np.errstate(invalid='ignore'):
        good = table.finite & (table.boxes[:, 2:] >= 1).all(axis=1)
        zero = good & table.has_area & (table.areas <= 0)
        nan = table.has_area & ~np.isfinite(table.areas)
    what = (
        '[has|have] an area of 0 or less ({ids}), which training leaves out without a word, and so takes for '
        'background: write width times height of the box as area.'
    )
    _tell(findings, table, 'area-0', zero, what)
    what = (
        '[has|have] an area that is NaN or infinite ({ids}), which no evaluation counts as small, medium or '
        'large: write width times height of the box as area.'
    )
    _tell(findings, table, 'area-not-finite', nan, what, 'error')
