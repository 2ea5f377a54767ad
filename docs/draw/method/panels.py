"""Pieces that several pictures are put together from."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from sssd.figures.style import GREY, colour, picture_axes

#: Outline of what is compared or pointed at.
MARK = colour(1)


def panel(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place in inches, from the upper left corner of the figure."""
    across, high = figure.get_size_inches()
    return figure.add_axes((left / across, 1 - (top + height) / high, width / across, height / high))


def write(figure: Figure, x: float, y: float, text: str, **options) -> None:
    """Text centred at a place in inches, from the upper left corner of the figure."""
    across, high = figure.get_size_inches()
    figure.text(x / across, 1 - y / high, text, **dict(dict(ha='center', va='center'), **options))


def arrow(figure: Figure, start: tuple[float, float], end: tuple[float, float], **options) -> None:
    """An arrow between two places in inches, from the upper left corner of the figure."""
    across, high = figure.get_size_inches()
    ends = [(x / across, 1 - y / high) for x, y in (start, end)]
    look = dict(arrowstyle='-|>', mutation_scale=14, color=GREY, linewidth=1.6, transform=figure.transFigure)
    figure.patches.append(FancyArrowPatch(*ends, **dict(look, **options)))


def show_picture(axes: Axes, pixels: np.ndarray, size: tuple[int, int] | None = None) -> None:
    """A picture (h, w, 3), on axes of its own size or of another (h, w), whose upper left corner it then fills."""
    height, width = size or pixels.shape[:2]
    axes.imshow(pixels, extent=(0, pixels.shape[1], pixels.shape[0], 0), interpolation='antialiased')
    picture_axes(axes, width, height)


def show_cells(axes: Axes, cells: np.ndarray, stride: float, size: tuple[int, int], **options):
    """A map (h, w) of cells of so many pixels over an image of ``size`` (h, w); thin lines where cells are few."""
    height, width = size
    extent = (0, cells.shape[1] * stride, cells.shape[0] * stride, 0)
    shown = axes.imshow(cells, extent=extent, **options)
    picture_axes(axes, width, height)
    if stride >= 12:
        for x in np.arange(stride, width, stride):
            axes.axvline(x, color='white', linewidth=0.4, alpha=0.5)
        for y in np.arange(stride, height, stride):
            axes.axhline(y, color='white', linewidth=0.4, alpha=0.5)
    return shown


def mark(axes: Axes, row: int, column: int, stride: float, edge: str = MARK) -> None:
    """Outline one cell."""
    axes.add_patch(Rectangle((column * stride, row * stride), stride, stride, fill=False, linewidth=2, edgecolor=edge))


def show_boxes(axes: Axes, boxes: np.ndarray, edges: list[str]) -> None:
    """Outline boxes (n, 4) in their colours."""
    for (x1, y1, x2, y2), edge in zip(boxes, edges):
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, linewidth=1.8, edgecolor=edge))
