"""The shapes of LabelMe as boxes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sssd.datasets.coco_form import shown
from sssd.datasets.forms import RepeatedError, number_of

#: Shapes that have no area.
_BARE = ('point', 'points', 'line', 'linestrip')
#: How many points the others have, or more.
_LEAST = dict(rectangle=2, polygon=3, circle=2, mask=2, rotation=3)
#: Of which the points are the corners of an outline.
_OUTLINES = ('polygon', 'rotation')


@dataclass(frozen=True)
class Thing:
    """One shape, or several of one object.

    Attributes:
        kind: Its shape_type.
        label: Its class.
        corners: x1, y1, x2, y2 of the box around it; None if it has no area.
        outlines: x, y of each corner of its polygons; empty if a part of it is no polygon.
        group: Its group_id as a text; None if it is an object of its own.
        clipped: Whether it may end outside of the image.
    """

    kind: str
    label: str = ''
    corners: tuple[float, float, float, float] | None = None
    outlines: tuple[list[float], ...] = ()
    group: str | None = None
    clipped: bool = False

    def box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Its box x, y, width, height in an image of a size."""
        x1, y1, x2, y2 = self.corners
        if self.clipped:
            x1, y1, x2, y2 = max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)
        return x1, y1, x2 - x1, y2 - y1


def thing_of(where: str, shape) -> Thing:
    """What a shape is; one without a shape_type is a polygon, as in the first versions of LabelMe.

    Args:
        where: File and shape, for the sentence.
        shape: An entry of ``shapes``, whatever it is.

    Raises:
        RepeatedError: Naming what is wrong with it.
    """
    if not isinstance(shape, dict):
        raise RepeatedError(
            f'{where} is {shown(shape)}, but has to be a shape with a label and points: correct it.', 'shape'
        )
    kind, label, points = shape.get('shape_type') or 'polygon', shape.get('label'), shape.get('points')
    if kind in _BARE:
        return Thing(kind)
    if not isinstance(kind, str) or kind not in _LEAST:
        raise RepeatedError(
            f'{where}: its shape_type is {shown(kind)!r}, but those with a box are {", ".join(_LEAST)}: draw it as one '
            'of them, or take it out.',
            f'type {shown(kind)}',
        )
    if not isinstance(label, str) or not label.strip():
        raise RepeatedError(
            f'{where}: its label is {shown(label)!r}, but has to be the name of a class: correct the label.', 'label'
        )
    least = _LEAST[kind]
    if not isinstance(points, list) or len(points) < least or not all(_is_point(point) for point in points):
        raise RepeatedError(
            f'{where}: a {kind} has {least} points or more, each of them x and y, but this one has {shown(points)}: '
            'correct the label.',
            f'points of {kind}',
        )
    numbers = [[number_of(value, where, 'a coordinate') for value in point] for point in points]
    outlines = ([side for point in numbers for side in point],) if kind in _OUTLINES else ()
    group = shape.get('group_id')
    return Thing(
        kind, label.strip(), _corners(kind, numbers), outlines, None if group is None else str(group), kind == 'circle'
    )


def _is_point(point) -> bool:
    return isinstance(point, list) and len(point) == 2


def _corners(kind: str, points: Sequence[Sequence[float]]) -> tuple[float, float, float, float]:
    """The box around a shape."""
    if kind == 'circle':  # its middle, and a point of its rim
        (x, y), radius = points[0], math.dist(*points[:2])
        return x - radius, y - radius, x + radius, y + radius
    more = int(kind == 'mask')  # which is told by its first and its last pixel
    xs, ys = zip(*points)
    return min(xs), min(ys), max(xs) + more, max(ys) + more


def joined(things: Sequence[Thing]) -> list[Thing]:
    """The objects that have an area; shapes of one label and group are parts of one."""
    found: dict = {}
    for number, thing in enumerate(things):
        if thing.corners is not None:
            key = number if thing.group is None else (thing.label, thing.group)
            found[key] = _both(found[key], thing) if key in found else thing
    return list(found.values())


def _both(one: Thing, other: Thing) -> Thing:
    (a, b, c, d), (e, f, g, h) = one.corners, other.corners
    outlines = one.outlines + other.outlines if one.outlines and other.outlines else ()
    corners, clipped = (min(a, e), min(b, f), max(c, g), max(d, h)), one.clipped or other.clipped
    return replace(one, corners=corners, outlines=outlines, clipped=clipped)
