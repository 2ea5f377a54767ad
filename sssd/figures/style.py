"""One look for all figures."""

from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib

matplotlib.use('Agg')

import matplotlib.pyplot as plt  # noqa: E402

#: Okabe and Ito's colours, which people with any colour vision tell apart.
COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#56B4E9', '#E69F00', '#000000', '#F0E442')
SETTINGS = {
    'figure.dpi': 120,
    'font.size': 10,
    'axes.titlesize': 11,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'axes.axisbelow': True,
    'grid.color': '#dddddd',
    'grid.linewidth': 0.6,
    'legend.frameon': False,
    'lines.linewidth': 1.8,
    'lines.markersize': 4,
}


def colour(index: int) -> str:
    """The colour of the index-th thing; they begin anew after the last."""
    return COLOURS[index % len(COLOURS)]


@contextmanager
def styled() -> Iterator[None]:
    """Draw in this look without changing anybody else's settings."""
    with plt.rc_context(SETTINGS):
        yield
