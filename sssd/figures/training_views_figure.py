"""The figure of what training sees; see ``training_views.py``."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle

from sssd.figures.style import colour, plt, styled
from sssd.figures.training_views import LevelWeights, TrainingView

#: Cells of each level that are marked in X and in X^.
MARKED = 2
#: Width of a panel in inches.
PANEL = 1.9


def draw_training_views(images: Sequence[TrainingView], title: str):
    """One row for each image: X', X, X^ at its size, the teacher's scores, the weights of the cells of each level.

    The cells of largest weight are marked in X and, with the same number, in X^; their colour is that of the level.
    """
    levels = images[0].levels
    titles = ["weak X'", 'strong X', 'scaled X^', "teacher's scores"]
    titles += [f'weights: stride {level.stride[0]:g}\nof X, {level.partner[0]:g} of X^' for level in levels]
    ratio = float(np.mean([image.strong.shape[0] / image.strong.shape[1] for image in images]))
    with styled():
        figure, grid = plt.subplots(
            len(images),
            len(titles),
            squeeze=False,
            layout='constrained',
            figsize=(PANEL * len(titles), (PANEL * ratio + 0.1) * len(images) + 0.8),
        )
        for text, axes in zip(titles, grid[0]):
            axes.set_title(text, fontsize=9)
        norm = _norm([level.weights for image in images for level in image.levels])
        for image, row in zip(images, grid):
            scores, weights = _draw_row(row, image, norm)
        figure.colorbar(scores, ax=grid[:, 3], location='bottom', shrink=0.9, label='score')
        if levels:
            ends = [] if norm is None else [norm.vmin, norm.vmax]
            bar = figure.colorbar(
                weights,
                ax=grid[:, 4:],
                location='bottom',
                shrink=0.5 if len(levels) > 1 else 0.9,
                label='weight of a cell',
                ticks=ends,
                format='%.2g',
            )
            bar.ax.minorticks_off()  # their labels overlap where all weights are alike
        figure.suptitle(title, fontsize=10)
    return figure


def _norm(weights: Sequence[np.ndarray]) -> LogNorm | None:
    """One logarithmic scale for all weights above 0."""
    found = np.concatenate([level[level > 0] for level in weights] or [np.zeros(0)])
    return LogNorm(found.min(), max(found.max(), found.min() * 1.01)) if len(found) else None


def _draw_row(row: Sequence[Axes], image: TrainingView, norm: LogNorm | None):
    """One image; gives back what the two colour bars are of."""
    height, width = image.strong.shape[:2]
    for axes in row:
        axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[], aspect='equal', anchor='N')
        axes.grid(False)
        for side in axes.spines.values():
            side.set_visible(False)
    for axes, pixels in zip(row, (image.weak, image.strong, image.scaled, image.weak)):
        axes.imshow(pixels, extent=(0, pixels.shape[1], pixels.shape[0], 0))
    scores = row[3].imshow(image.heat, extent=(0, width, height, 0), cmap='inferno', alpha=0.65, vmin=0, vmax=1)
    weights = None
    for place, (axes, level) in enumerate(zip(row[4:], image.levels)):
        axes.imshow(image.strong, extent=(0, width, height, 0))
        cells = level.weights
        extent = (0, cells.shape[1] * level.spacing[0], cells.shape[0] * level.spacing[1], 0)
        weights = axes.imshow(cells, extent=extent, cmap='viridis', norm=norm, alpha=0.7)
        axes.set(xlim=(0, width), ylim=(height, 0))
        _mark(row[1], row[2], axes, level, place)
    return scores, weights


def _mark(strong: Axes, scaled: Axes, own: Axes, level: LevelWeights, place: int) -> None:
    """Outline the cells of largest weight in X, in X^ and in the level's own panel."""
    order = np.argsort(np.nan_to_num(level.weights, nan=-1), axis=None)[::-1][:MARKED]
    for number, index in enumerate(order, 1):
        row, column = np.unravel_index(index, level.weights.shape)
        if not level.weights[row, column] > 0:
            continue
        for axes, (across, down), size in (
            (strong, level.spacing, level.stride),
            (own, level.spacing, level.stride),
            (scaled, level.partner, level.partner),
        ):
            corner = (column * across, row * down)
            axes.add_patch(Rectangle(corner, *size, fill=False, linewidth=1.2, edgecolor=colour(place + 3)))
            axes.text(
                corner[0] + 1,
                corner[1] + 1,
                str(number),
                fontsize=5,
                ha='left',
                va='top',
                clip_on=True,
                color='white',
                bbox=dict(facecolor=colour(place + 3), edgecolor='none', pad=0.6),
            )
