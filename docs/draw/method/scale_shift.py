r"""Eq. 2, levels that pair over scales. The image $X$ and $\hat{X}$, $1/2^s$ of it with $s = 1$, go through one
detector. Level $f$ of $X$ (stride $2^f$) and level $f' = f - s$ of $\hat{X}$ (stride $2^{f-s}$) have the same grid,
and a cell of it covers the same part of the photograph; so they stand one below the other, and every cell has its
partner at the same place (outlined: the cell that differs most). The finest level of $X$ and the coarsest of
$\hat{X}$ have no partner and take no part. The third row is the difference of the two scores: where it is bright,
the detector sees an object at one size and overlooks it at the other, which Eq. 2 pulls together in both
directions.
"""

import numpy as np

from sssd.figures.style import GREY, HEAT, QUANTITY, SCALED, STRONG, WIDTH, heading, new_figure, plt, styled

from .panels import mark, panel, show_cells, show_picture, write
from .scene import SHIFT, Scene, score

HEAD, LABEL, SIDE = 0.5, 0.34, 0.12


def draw(scene: Scene):
    """The figure."""
    full, small = scene.levels('strong'), scene.levels('scaled')
    count = len(full) + SHIFT + 1  # the images have a column of their own
    wide = (WIDTH - SIDE) / count - 0.12
    high = wide * scene.strong.shape[0] / scene.strong.shape[1]
    tops = [HEAD + LABEL + row * (high + LABEL + 0.12) for row in range(3)]
    pairs = {level.stride: partner for level, partner in scene.pairs()}
    with styled():
        figure = new_figure(tops[2] + high + 0.95)
        figure.set_layout_engine('none')
        lefts = [SIDE + column * (wide + 0.12) for column in range(count)]
        size = scene.strong.shape[:2]
        for top, pixels, title in ((tops[0], scene.strong, f'{STRONG}'), (tops[1], scene.scaled, f'{SCALED}')):
            show_picture(panel(figure, lefts[0], top, wide, high), pixels, size)
            write(figure, lefts[0] + wide / 2, top - 0.12, title, fontsize=11, va='baseline')
        write(figure, lefts[0] + wide / 2, tops[2] + high / 2, 'difference\nof the scores', fontsize=10.5)
        both = [abs(score(level) - score(pairs[level.stride])) for level in full if level.stride in pairs]
        most = max(float(np.nanmax(part)) for part in both) or 1.0
        for place in range(len(full) + SHIFT):
            box = (lefts[place + 1], wide, high)
            above = full[place] if place < len(full) else None
            below = small[place - SHIFT] if place >= SHIFT else None
            shown = _column(figure, box, tops, above, below, size, most)
        _bars(figure, lefts, wide, tops[2] + high, shown, most)
        text = (
            rf'Eq. 2: level $f$ of {STRONG} and level $f^\prime = f - s$ of {SCALED} have the same cells, $s = {SHIFT}$'
        )
        heading(figure, text)
    return figure


def _column(figure, box, tops, above, below, size, most):
    """One level of X over its partner, and their difference; a level without a partner stands alone."""
    left, wide, high = box
    shown = None
    for top, level, name, step in ((tops[0], above, 'X', 1), (tops[1], below, r'\hat{X}', 2**SHIFT)):
        if level is None:
            write(figure, left + wide / 2, top + high / 2, 'no partner', fontsize=10, color=GREY, style='italic')
            continue
        write(
            figure, left + wide / 2, top - 0.12, f'stride {level.stride[0]:g} of ${name}$', fontsize=9.5, va='baseline'
        )
        axes = panel(figure, left, top, wide, high)
        show_cells(axes, score(level), level.stride[0] * step, size, cmap=HEAT, vmin=0, vmax=1)
        if above is not None and below is not None:
            gap = abs(score(above) - score(below))
            whole = gap[: max(int(size[0] // above.stride[1]), 1), : max(int(size[1] // above.stride[0]), 1)]
            row, column = np.unravel_index(int(np.nanargmax(whole)), whole.shape)
            mark(axes, row, column, above.stride[0], '#56B4E9')
    if above is not None and below is not None:
        axes = panel(figure, left, tops[2], wide, high)
        write(figure, left + wide / 2, tops[2] - 0.12, r'$|p(X) - p(\hat{X})|$', fontsize=9.5, va='baseline')
        shown = show_cells(axes, gap, above.stride[0], size, cmap=QUANTITY, vmin=0, vmax=most)
        mark(axes, row, column, above.stride[0], '#56B4E9')
    return shown


def _bars(figure, lefts, wide: float, bottom: float, shown, most: float) -> None:
    """Colour bars of scores and differences."""
    for place, limits, cmap, label in (
        (1, (0, 1), HEAT, 'largest score of a cell'),
        (3, (0, most), QUANTITY, 'difference'),
    ):
        axes = panel(figure, lefts[place] + 0.1, bottom + 0.2, 1.8 * wide, 0.11)
        bar = figure.colorbar(plt.cm.ScalarMappable(plt.Normalize(*limits), cmap), cax=axes, orientation='horizontal')
        bar.set_label(label)
        bar.locator = plt.MaxNLocator(4)
        bar.update_ticks()
        bar.outline.set_visible(False)
