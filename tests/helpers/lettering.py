"""What a reader of a figure would stumble over: letters on letters, and letters cut off by the figure's edge."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from unittest import mock

from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

#: Pixels that two texts may share, or that may lie beyond the edge: extents are rounded up.
SLACK = 1.0
#: Pixels of a figure's width.
PIXELS = 1600


def texts_of(figure: Figure) -> list[tuple[str, Bbox]]:
    """Every text that is drawn, in the order of drawing, with its place on the canvas in pixels.

    Asked while the figure is drawn, so ticks, legends and tables are there, hidden ones are not. What axes clip off is
    left out of a text's place; so are backgrounds, but for those of labels at boxes, which are a part of the label.
    """
    found = []
    draw = Text.draw

    def noting(text, renderer, *args, **kwargs):
        if text.get_visible() and text.get_text().strip():
            place = Text.get_window_extent(text, renderer)
            if text.get_bbox_patch() is not None:
                place = text.get_bbox_patch().get_window_extent(renderer)
            if text.get_clip_on() and text.get_clip_box() is not None:
                place = Bbox.intersection(place, text.get_clip_box())
            if place is not None:
                found.append((text.get_text(), place))
        return draw(text, renderer, *args, **kwargs)

    figure.canvas.draw()  # a first time, since layouts settle while drawing
    with mock.patch.object(Text, 'draw', noting):
        figure.canvas.draw()
    return found


def faults(figure: Figure) -> list[str]:
    """Sentences about texts that touch and texts beyond the edge, and about a width that is not the common one."""
    texts, said = texts_of(figure), []
    if round(figure.bbox.width) != PIXELS:
        said.append(f'the figure is {figure.bbox.width:g} pixels wide')
    said += [f'{text!r} is cut off' for text, place in texts if not contains(figure.bbox, place.padded(-SLACK))]
    for (one, here), (other, there) in combinations(texts, 2):
        if here.padded(-SLACK).overlaps(there.padded(-SLACK)):
            said.append(f'{one!r} touches {other!r}')
    return said


def contains(outer: Bbox, inner: Bbox) -> bool:
    """Whether all of ``inner`` lies in ``outer``."""
    return outer.x0 <= inner.x0 and inner.x1 <= outer.x1 and outer.y0 <= inner.y0 and inner.y1 <= outer.y1


@contextmanager
def kept_figures() -> Iterator[list[Figure]]:
    """Figures that the code in between closes, for a look at them; closed at the end."""
    from matplotlib import pyplot as plt

    figures: list[Figure] = []
    with mock.patch.object(plt, 'close', figures.append):
        yield figures
    for figure in figures:
        plt.close(figure)
