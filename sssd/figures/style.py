"""One look for all figures: 1600 pixels wide, readable at half of it, colours for any colour vision, true symbols."""

import math
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib

matplotlib.use('Agg')

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from matplotlib.axis import Axis  # noqa: E402
from matplotlib.colors import LogNorm  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.text import Text  # noqa: E402
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator  # noqa: E402

from sssd.figures.letters import families, tell_missing  # noqa: E402

#: Width of every figure in inches; with the dots per inch below it is 1600 pixels.
WIDTH, DPI = 10.0, 160
#: Okabe and Ito's colours, which people with any colour vision tell apart.
COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#56B4E9', '#E69F00', '#000000', '#F0E442')
#: Dashes of the first, second, ... round of the colours.
DASHES = ('-', (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)))
GREY = '#555555'
#: Colour maps of even lightness: of quantities from 0 on, and of scores over a picture.
QUANTITY, HEAT = 'viridis', 'inferno'
#: The papers' symbols. SED's views of an image, and their rows' score distance.
WEAK, STRONG, SCALED, DISTANCE = "$X'$", '$X$', r'$\hat{X}$', '$g$'
SCALE_LOSS, DISTILL_LOSS = r'$\mathcal{L}_{\mathrm{scale}}$', r'$\mathcal{L}_{\mathrm{distill}}$'
SETTINGS = {
    'figure.dpi': DPI,
    'savefig.dpi': DPI,
    'font.size': 10,
    'mathtext.fontset': 'dejavusans',
    'figure.titlesize': 12,
    'axes.titlesize': 11,
    'axes.labelsize': 10.5,
    'axes.titlepad': 7,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'axes.axisbelow': True,
    'axes.formatter.use_mathtext': True,
    'grid.color': '#dddddd',
    'grid.linewidth': 0.6,
    'legend.frameon': False,
    'legend.fontsize': 10,
    'lines.linewidth': 2,
    'lines.markersize': 4.5,
    'image.interpolation': 'nearest',
}
warnings.filterwarnings('ignore', r'Glyph \d+ .*missing from')  # told by `plain`, once, with the remedy
#: A formula or a word: what a title is broken between.
TOKENS = re.compile(r'(?:(?<!\\)\$(?:\\.|[^$\\])*\$|[^\s$]|\\\$|\$)+')


def colour(index: int) -> str:
    """The colour of the index-th thing; they begin anew after the last."""
    return COLOURS[index % len(COLOURS)]


def dashes(index: int):
    """The line style of the index-th thing: solid for the first eight, whose colours differ, then dashed, ..."""
    return DASHES[index // len(COLOURS) % len(DASHES)]


@contextmanager
def styled() -> Iterator[None]:
    """Draw in this look without changing anybody else's settings."""
    with plt.rc_context({**SETTINGS, 'font.family': list(families())}):
        yield


def plain(text: str) -> str:
    """A user's words, such as a file's name, with nothing in them read as mathematics; letters that lack are told."""
    tell_missing(str(text))
    return str(text).replace('$', r'\$')


def new_figure(height: float) -> Figure:
    """An empty figure of the common width, so many inches high, that lays itself out."""
    figure = plt.figure(figsize=(WIDTH, height), layout='constrained')
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08, wspace=0.03, hspace=0.03)
    return figure


def heading(figure: Figure, title: str, about: str = '') -> None:
    """The title of a figure, and below it what it is about; both broken to the figure's width."""
    lines = wrapped(figure, title, plt.rcParams['figure.titlesize'])
    if about:
        lines += wrapped(figure, about, plt.rcParams['figure.titlesize'])
    figure.suptitle('\n'.join(lines), linespacing=1.35)


def wrapped(figure: Figure, text: str, size: float, share: float = 0.97) -> list[str]:
    """Lines of ``text``, each at most ``share`` of the figure wide in letters of ``size`` points.

    Broken between words, not in formulas; a word that is too long by itself is broken anywhere.
    """
    room, lines, words = share * figure.bbox.width, [], TOKENS.findall(text)
    while words:
        count = next((n for n in range(len(words), 0, -1) if _width(figure, ' '.join(words[:n]), size) <= room), 0)
        if count:
            lines.append(' '.join(words[:count]))
            words = words[count:]
        else:
            cut = next((n for n in range(len(words[0]), 1, -1) if _width(figure, words[0][:n], size) <= room), 1)
            lines.append(words[0][:cut])
            words[0] = words[0][cut:]
    return lines


def _width(figure: Figure, text: str, size: float) -> float:
    """Pixels that a line takes."""
    probe = Text(0, 0, text, fontsize=size, figure=figure)
    return probe.get_window_extent(figure.canvas.get_renderer()).width


def legend_below(figure: Figure, handles: Sequence, title: str | None = None) -> None:
    """A legend under all panels, in as many columns as the figure is wide for; handles carry their labels.

    The figure grows by the legend's height.
    """
    if not handles:
        return
    size = plt.rcParams['legend.fontsize']
    handle_width = 4.2 * size * figure.dpi / 72  # the line, and the space around it and between columns
    widest = max(_width(figure, handle.get_label(), size) for handle in handles) + handle_width
    columns = max(1, min(len(handles), int(0.97 * figure.bbox.width / widest)))
    rows = math.ceil(len(handles) / columns)
    figure.set_figheight(figure.get_figheight() + 1.5 * size / 72 * (rows + (title is not None)) + 0.15)
    figure.legend(
        handles=handles,
        loc='outside lower center',
        ncols=math.ceil(len(handles) / rows),
        title=title,
        title_fontsize=size,
    )


def log_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """At most ``most`` round numbers from ``low`` to ``high``, evenly spread on a logarithmic axis; at least one.

    1, 2 and 5 times powers of ten if there are few, else powers of ten, of a hundred, ...; where two round numbers
    are hard to find, both ends, or one if they are nearly the same.
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for steps, every in (((1, 2, 5), 1), ((1,), 1), *(((1,), every) for every in range(2, last - first + 2))):
        ticks = [step * 10.0**power for power in range(first, last + 1) if power % every == 0 for step in steps]
        ticks = [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
        if len(ticks) <= most:
            break
    if len(ticks) < 2:
        ticks = [low, high] if high > low * 1.05 else [low]
    return ticks


def log_labels(ticks: Sequence[float]) -> list[str]:
    """Labels of a logarithmic axis: plain numbers if all lie between 0.01 and 100000, else powers of ten."""
    if min(ticks) > 0.0099 and max(ticks) < 99999:
        return [f'{float(f"{tick:.3g}"):g}' for tick in ticks]
    powers = [math.floor(math.log10(tick) + 1e-9) for tick in ticks]
    factors = [tick / 10.0**power for tick, power in zip(ticks, powers)]
    return [
        f'$10^{{{power}}}$' if abs(factor - 1) < 1e-6 else rf'${factor:.2g}\times10^{{{power}}}$'
        for power, factor in zip(powers, factors)
    ]


def logarithmic(axis: Axis, low: float, high: float, most: int = 6) -> None:
    """Make an axis logarithmic from ``low`` to ``high``, with ticks that do not crowd."""
    axis.axes.set(**{f'{axis.axis_name}scale': 'log', f'{axis.axis_name}lim': (low, high)})
    ticks = log_ticks(low, high, most)
    axis.set_ticks(ticks, log_labels(ticks))
    axis.set_minor_locator(NullLocator())


def colour_bar(figure: Figure, mappable, label: str, ticks: int = 5, **options):
    """A colour bar with about so many ticks, on a logarithmic scale those of :func:`log_ticks`."""
    bar = figure.colorbar(mappable, label=label, **options)
    if isinstance(mappable.norm, LogNorm):
        places = log_ticks(mappable.norm.vmin, mappable.norm.vmax, ticks)
        bar.set_ticks(places, labels=log_labels(places))
        bar.ax.minorticks_off()
    else:
        bar.locator = MaxNLocator(ticks)
        bar.update_ticks()
    bar.outline.set_visible(False)
    return bar


def picture_axes(axes, width: float, height: float) -> None:
    """Make axes a picture of so many pixels: no ticks, no frame, the origin at the upper left."""
    axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[], aspect='equal')
    axes.grid(False)
    for side in axes.spines.values():
        side.set_visible(False)


def share_ticks(axis: Axis) -> None:
    """Ticks of a share, 0 to 1, as per cent."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f'{100 * value:g} %'))


def used_range(values: np.ndarray, edges: np.ndarray) -> float:
    """The upper edge of the last bin that holds anything, at least the first bin's."""
    return float(edges[1:][np.asarray(values) > 0].max(initial=edges[1]))
