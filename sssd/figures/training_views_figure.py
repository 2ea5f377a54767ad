"""The figure of what training sees; see ``training_views.py``."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sssd.figures.box_labels import Placer
from sssd.figures.style import (
    HEAT,
    QUANTITY,
    SCALED,
    STRONG,
    WEAK,
    WIDTH,
    colour,
    colour_bar,
    heading,
    new_figure,
    picture_axes,
    styled,
)
from sssd.figures.training_views import LevelWeights, TrainingView

#: Cells of each level that are marked in X and in X^.
MARKED = 2
#: Pictures of an image, before the weights of its levels: X', X, X^ and the teacher's scores.
PICTURES = 4


def draw_training_views(images: Sequence[TrainingView], title: str, about: str = ''):
    """For each image X', X, X^ at its size, the teacher's scores, and the weights of the cells of each level.

    The cells of largest weight are marked in X and, with the same number, in X^; their colour is that of the level.
    """
    levels = images[0].levels
    titles = [f'weak {WEAK}', f'strong {STRONG}', f'scaled {SCALED}', "teacher's scores"]
    titles += [
        f'weights: stride {level.stride[0]:g} of {STRONG}\nand {level.partner[0]:g} of {SCALED}' for level in levels
    ]
    columns = PICTURES + 1 if len(levels) == 1 else PICTURES
    lines = -(-len(titles) // columns)
    ratio = float(np.mean([image.strong.shape[0] / image.strong.shape[1] for image in images]))
    with styled():
        height = 0.95 * WIDTH / columns * ratio
        figure = new_figure(len(images) * (lines * (height + 0.15)) + 0.5 * (lines - 1) + 2)
        grid = figure.add_gridspec(
            len(images) * lines + 1, columns, height_ratios=[height] * len(images) * lines + [0.15]
        )
        rows = [
            [figure.add_subplot(grid[row * lines + place // columns, place % columns]) for place in range(len(titles))]
            for row in range(len(images))
        ]
        for axes, text in zip(rows[0], titles):
            axes.set_title(text, fontsize=10)
        norm = _norm([level.weights for image in images for level in image.levels])
        for image, row in zip(images, rows):
            scores, weights = _draw_row(row, image, norm)
        left, right = (figure.add_subplot(part) for part in (grid[-1, :2], grid[-1, 2:]))
        colour_bar(figure, scores, "teacher's score", cax=left, orientation='horizontal')
        if norm is None:
            right.remove()
        else:
            colour_bar(figure, weights, 'weight of a cell', cax=right, orientation='horizontal')
        heading(figure, title, about)
        _number(figure, rows, images)
    return figure


def _norm(weights: Sequence[np.ndarray]) -> LogNorm | None:
    """One logarithmic scale for all weights above 0."""
    found = np.concatenate([level[level > 0] for level in weights] or [np.zeros(0)])
    return LogNorm(found.min(), max(found.max(), found.min() * 1.01)) if len(found) else None


def _draw_row(row: Sequence[Axes], image: TrainingView, norm: LogNorm | None):
    """One image; gives back what the two colour bars are of."""
    height, width = image.strong.shape[:2]
    for axes in row:
        picture_axes(axes, width, height)
        axes.set_anchor('N')
    for axes, pixels in zip(row, (image.weak, image.strong, image.scaled, image.weak)):
        axes.imshow(pixels, extent=(0, pixels.shape[1], pixels.shape[0], 0), interpolation='antialiased')
    scores = row[3].imshow(image.heat, extent=(0, width, height, 0), cmap=HEAT, alpha=0.65, vmin=0, vmax=1)
    weights = None
    for axes, level in zip(row[PICTURES:], image.levels):
        axes.imshow(image.strong, extent=(0, width, height, 0))
        cells = level.weights
        extent = (0, cells.shape[1] * level.spacing[0], cells.shape[0] * level.spacing[1], 0)
        weights = axes.imshow(cells, extent=extent, cmap=QUANTITY, norm=norm, alpha=0.7)
    for axes in row:
        axes.set(xlim=(0, width), ylim=(height, 0))
    for place, (axes, level) in enumerate(zip(row[PICTURES:], image.levels)):
        for index in _marked(level):
            for shown, (spacing, size) in zip((row[1], axes, row[2]), _places(level)):
                corner = (index[1] * spacing[0], index[0] * spacing[1])
                box = Rectangle(corner, *size, fill=False, linewidth=1.6, edgecolor=colour(place + 3))
                shown.add_patch(box)
    return scores, weights


def _marked(level: LevelWeights) -> list[tuple[int, int]]:
    """Row and column of the cells of largest weight; of none where many all weigh the same."""
    known = level.weights[~np.isnan(level.weights)]
    if len(known) > MARKED and known.max() <= known.min() * 1.001:
        return []
    order = np.argsort(np.nan_to_num(level.weights, nan=-1), axis=None)[::-1][:MARKED]
    places = [np.unravel_index(index, level.weights.shape) for index in order]
    return [(int(row), int(column)) for row, column in places if level.weights[row, column] > 0]


def _places(level: LevelWeights):
    """Spacing and size of a level's cells in X, in its own panel and in X^."""
    return (level.spacing, level.stride), (level.spacing, level.stride), (level.partner, level.partner)


def _number(figure: Figure, rows: Sequence[Sequence[Axes]], images: Sequence[TrainingView]) -> None:
    """Number the marked cells of X, of X^ and of each level's panel, where there is room for the number."""
    placer = Placer(figure)
    for row, image in zip(rows, images):
        for place, level in enumerate(image.levels):
            for number, index in enumerate(_marked(level), 1):
                for shown, (spacing, size) in zip((row[1], row[PICTURES + place], row[2]), _places(level)):
                    left, top = index[1] * spacing[0], index[0] * spacing[1]
                    box = (left, top, left + size[0], top + size[1])
                    placer.label(shown, str(number), box, colour(place + 3), fontsize=7)
