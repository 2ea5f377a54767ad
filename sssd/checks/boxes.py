"""Are boxes in pixels, as x, y, width and height, inside of their images, and with an area?"""

import re

import numpy as np

from sssd.checks.findings import Findings, either, level_of, part_of
from sssd.checks.readings import MOST, are_sides, confined, in_percent, outside, reading, shares
from sssd.checks.table import Table
from sssd.checks.twice import MANY, twice

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
    normalised = _check_shares(findings, table, known)
    if normalised.sum() >= MOST * max(1, known.sum()):
        return
    wrong = known & wrong_size[table.image] if wrong_size is not None and len(wrong_size) else ~known
    sound = known & ~wrong
    sides = are_sides(table, sound) if table.form == 'VOC' else None
    if sides is not None:
        what = (
            '[ends before it begins|end before they begin] ({ids}), and none would if all were x, y, width, height, as '
            'they seem to be: VOC has xmin, ymin, xmax, ymax, so write x + width and y + height.'
        )
        _tell(findings, table, 'corners', sides, what, 'error')
        return
    _check_outside(findings, table, sound)
    _check_confined(findings, table, sound)
    _check_sides(findings, table, normalised)
    _check_areas(findings, table)
    _check_twice(findings, table)


def _tell(findings: Findings, table: Table, kind: str, where: np.ndarray, what: str, level: str | None = None) -> None:
    """Add a finding on the annotations at ``where``; what is told begins with their number and that of all."""
    count, total = int(where.sum()), len(where)
    if count:
        examples = [table.ids[place] for place in np.flatnonzero(where)[:100]]
        image = table.image[np.flatnonzero(where)[0]]
        of_image = f' of {table.names[image]}' if image >= 0 and table.names[image] else ''
        words = _AGREES.sub(lambda found: either(count, found[1], found[2]), what)
        number = part_of(count, total, 'annotation' if kind.startswith('area-not') else 'box')
        sentence = f'{number} {words.format(ids=f"such as annotation {examples[0]}{of_image}")}'
        findings.add(level or level_of(count, total), kind, table.path, f'{table.path}: {sentence}', count, examples)


def _check_finite(findings: Findings, table: Table) -> None:
    what = '[has|have] a coordinate that is NaN or infinite ({ids}); correct [it|them] or take [it|them] out.'
    _tell(findings, table, 'not-finite', ~table.finite, what, 'error')


def _check_shares(findings: Findings, table: Table, known: np.ndarray) -> np.ndarray:
    """Find boxes that are shares of the image: (N,) those from 0 to 1, all of the file or some with fractions."""
    where = shares(table, known)
    if where.sum() < MOST * max(1, known.sum()):
        where &= (table.boxes != np.round(table.boxes)).any(axis=1)
        if where.sum() < 2:  # one may be of less than a pixel
            where[:] = False
    what = '[has|have] coordinates from 0 to 1 ({ids}), ' + NORMALISED[table.form]
    _tell(findings, table, 'normalised', where, what)
    if not where.any() and in_percent(table, known):
        what = (
            'all end at 100 or before ({ids}), near it both ways, though the images are larger: coordinates in percent '
            'are to be multiplied by width and height of the image, over 100.'
        )
        _tell(findings, table, 'percent', known, what, 'warning')
    return where


def _check_outside(findings: Findings, table: Table, where: np.ndarray) -> None:
    """Find boxes that reach far outside, and whether their numbers are others: read so, all would be right."""
    places = outside(table, where)
    if not places.any():
        return
    found = reading(table, where, places)
    start = '[reaches|reach] far outside of [its image|their images] ({ids})'
    if found is not None:
        _tell(findings, table, found[0], places, f'{start}, and none would if {found[1]}', 'error')
        return
    what = (
        f'{start}; look whether width and height of the images are right, and whether the boxes are of another size of '
        'them.'
    )
    _tell(findings, table, 'outside', places, what)


def _check_confined(findings: Findings, table: Table, where: np.ndarray) -> None:
    """Find boxes that all lie in the upper left of their images: they may have been drawn on smaller ones."""
    parts = confined(table, where)
    percent = any((found.kind, found.where) == ('percent', table.path) for found in findings.found)
    if parts is not None and not percent:
        what = (
            f'all end within {parts[0]:.0%} of the width and {parts[1]:.0%} of the height of their images ({{ids}}): '
            'if there are objects elsewhere too, the boxes were drawn on smaller images; scale them.'
        )
        _tell(findings, table, 'confined', where, what, 'warning')


def _check_twice(findings: Findings, table: Table) -> None:
    """Find boxes that stand there several times, of one class or of several."""
    same, other = twice(table)
    what = (
        '[stands|stand] there before, with the same image, class and coordinates ({ids}), and [counts|count] as one '
        'more object, which cannot be found: take one of each out, if files were put together twice.'
    )
    _tell(findings, table, 'twice', same, what, 'error' if same.mean() >= MANY else 'warning')
    what = (
        "[has|have] image and coordinates of another class's ({ids}): if an object has one class, take the other out."
    )
    _tell(findings, table, 'two-classes', other, what, 'warning' if other.mean() >= MANY else 'note')


def _check_sides(findings: Findings, table: Table, told: np.ndarray) -> None:
    sides = table.boxes[:, 2:]
    with np.errstate(invalid='ignore'):
        negative = table.finite & (sides < 0).any(axis=1)
        small = table.finite & ~negative & ~told & (sides < 1).any(axis=1)
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
    with np.errstate(over='ignore', invalid='ignore'):
        full = np.where(good, table.boxes[:, 2] * table.boxes[:, 3], 0)
        off = (
            good & table.has_area & (table.areas > 0) & ((table.areas > 1.1 * full + 1) | (table.areas < 0.001 * full))
        )
    what = (
        '[has|have] an area that is not of its box, larger or less than a thousandth ({ids}), so that an evaluation '
        'takes small objects for large ones or large for small: write width times height of the box, or pixels of the '
        'mask, as area.'
    )
    if off.sum() >= MOST * max(1, good.sum()):
        _tell(findings, table, 'area-off', off, what, 'warning')
