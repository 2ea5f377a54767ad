"""Training curves of several runs in one figure."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator

from sssd.errors import UserError
from sssd.figures.style import GREY, colour, dashes, heading, legend_below, new_figure, plain, plt, styled
from sssd.report.scalars import Curves, history, loss_terms

LINES = {'teacher': '-', 'student': (0, (4, 1.5)), 'model': '-'}
MARKERS = 'osD^vPX*'
ROUND = (1, 2, 5, 10)  # ticks at multiples of these
SEVERAL = 0.55  # opacity of a line where a run has several seeds
COLUMNS = 4  # panels side by side; AP takes two of them, in two rows
LONG = 26  # letters of a panel's title
#: Parts of a loss term's name that have a symbol.
SYMBOLS = dict(
    sup=r'\mathcal{L}_{\mathrm{sup}}',
    scale=r'\mathcal{L}_{\mathrm{scale}}',
    distill=r'\mathcal{L}_{\mathrm{distill}}',
    pseudo=r'\mathcal{L}_{\mathrm{pseudo}}',
)


def plot_curves(runs: Mapping[str, Sequence[Curves]], out: str | Path, title: str = '') -> Path:
    """Draw AP and every loss term over the iterations.

    Args:
        runs: For each run's name its curves, one item per seed.
        out: The PNG to write.
        title: The figure's title.

    Returns:
        The path of the figure.

    Raises:
        UserError: If no run has logged anything.
    """
    if not any(curves for seeds in runs.values() for curves in seeds):
        raise UserError(f'nothing to draw in {out}: none of the runs {", ".join(runs)} has logged anything yet')
    terms = list(dict.fromkeys(term for seeds in runs.values() for curves in seeds for term in loss_terms(curves)))
    with styled():
        figure, main, small = _layout(len(terms))
        _draw_ap(main, runs)
        for axes, term in zip(small, terms):
            _draw_term(axes, runs, term)
        _legend(figure, runs)
        if title:
            heading(figure, plain(title))
        out = Path(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out)
        plt.close(figure)
    return out


def _layout(terms: int) -> tuple[Figure, Axes, list[Axes]]:
    """A large panel at the upper left, a small one for every loss term right of it and below."""
    beside = [(row, column) for column in range(2, COLUMNS) for row in range(2)]
    below = [(2 + place // COLUMNS, place % COLUMNS) for place in range(max(0, terms - len(beside)))]
    rows = 2 + -(-len(below) // COLUMNS)
    figure = new_figure(2.3 * rows + 0.4)
    columns = COLUMNS if terms > 2 else COLUMNS - 1  # one column of panels is wide enough for two
    grid = figure.add_gridspec(rows, columns)
    small = [figure.add_subplot(grid[place]) for place in (beside + below)[:terms]]
    return figure, figure.add_subplot(grid[:2, :2]), small


def _draw_ap(axes: Axes, runs: Mapping[str, Sequence[Curves]]) -> None:
    axes.set(title='Validation', xlabel='iteration', ylabel='AP (%)')
    for i, seeds in enumerate(runs.values()):
        for curves in seeds:
            for role, rows in history(curves).items():
                points = [(row['iter'], row['AP']) for row in rows if row.get('AP') is not None]
                axes.plot(
                    [step for step, _ in points],
                    [ap for _, ap in points],
                    linestyle=LINES[role],
                    color=colour(i),
                    marker=MARKERS[i % len(MARKERS)],
                    alpha=1 if len(seeds) == 1 else SEVERAL,
                )
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=ROUND))
    axes.xaxis.set_major_formatter(EngFormatter(sep=''))


def _draw_term(axes: Axes, runs: Mapping[str, Sequence[Curves]], term: str) -> None:
    axes.set_title(term_title(term), fontsize=10)
    axes.set_xlabel('iteration', fontsize=9)
    axes.set_ylabel('loss', fontsize=9)
    axes.tick_params(labelsize=9)
    for i, seeds in enumerate(runs.values()):
        for curves in seeds:
            if term in curves:
                axes.plot(
                    *curves[term],
                    color=colour(i),
                    linestyle=dashes(i),
                    linewidth=1.5,
                    marker='.' if len(curves[term].steps) == 1 else '',
                    alpha=1 if len(seeds) == 1 else SEVERAL,
                )
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=ROUND))
    axes.xaxis.set_major_formatter(EngFormatter(sep=''))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter('{x:g}')


def term_title(term: str) -> str:
    """A loss term by its symbol and parts: ``bbox_loss_scale_cls`` is L_scale: bbox, cls; others by their words."""
    if term == 'loss':
        return r'total loss $\mathcal{L}$'
    words = [word for word in term.split('_') if word != 'loss']
    main = next((word for word in words if word in SYMBOLS), None)
    symbol = SYMBOLS.get(main)
    words = [plain(word) for word in words if word != main]
    if symbol is None:
        return '\n'.join(textwrap.wrap(' '.join([*words, 'loss']), LONG))
    return '\n'.join([f'${symbol}$', *textwrap.wrap(', '.join(words), LONG)]) if words else f'${symbol}$'


def _legend(figure: Figure, runs: Mapping[str, Sequence[Curves]]) -> None:
    """Colours are runs; line styles are student and teacher."""
    handles = [
        Line2D(
            [], [], color=colour(i), linestyle=dashes(i), marker=MARKERS[i % len(MARKERS)], label=shortened(plain(name))
        )
        for i, name in enumerate(runs)
    ]
    roles = {role for seeds in runs.values() for curves in seeds for role in history(curves)}
    if 'student' in roles:
        handles += [
            Line2D([], [], color=GREY, linestyle=LINES[role], label=f'{role} (AP)') for role in ('teacher', 'student')
        ]
    legend_below(figure, handles)


def shortened(name: str, most: int = 70) -> str:
    """A name with its middle left out if it is very long."""
    return name if len(name) <= most else f'{name[: most // 2]} ... {name[-most // 2 :]}'
