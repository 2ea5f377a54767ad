"""Training curves of several runs in one figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from sssd.errors import UserError
from sssd.figures.style import colour, plt, styled
from sssd.report.scalars import Curves, history, loss_terms

LINES = {'teacher': '-', 'student': '--', 'model': '-'}
ROUND = (1, 2, 5, 10)  # ticks at multiples of these
SEVERAL = 0.55  # opacity of a line where a run has several seeds


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
        _legend(figure, main, runs)
        if title:
            figure.suptitle(title)
        out = Path(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out)
        plt.close(figure)
    return out


def _layout(terms: int) -> tuple[Figure, Axes, list[Axes]]:
    """A large panel at the left, a small one for every loss term."""
    rows = 2 if terms <= 6 else 3
    columns = -(-terms // rows)
    figure = plt.figure(figsize=(5.2 + 2.6 * columns, 2.3 * rows + 0.6), layout='constrained')
    figure.get_layout_engine().set(w_pad=0.09, h_pad=0.06)
    widths = [1.9] + [1] * columns
    grid = figure.add_gridspec(rows, columns + 1, width_ratios=widths)
    small = [figure.add_subplot(grid[i % rows, 1 + i // rows]) for i in range(terms)]
    return figure, figure.add_subplot(grid[:, 0]), small


def _draw_ap(axes: Axes, runs: Mapping[str, Sequence[Curves]]) -> None:
    axes.set(title='Validation', xlabel='iteration', ylabel='AP (%)')
    for i, seeds in enumerate(runs.values()):
        for curves in seeds:
            for role, rows in history(curves).items():
                points = [(row['iter'], row['AP']) for row in rows if row.get('AP') is not None]
                axes.plot(
                    [step for step, _ in points],
                    [ap for _, ap in points],
                    LINES[role],
                    color=colour(i),
                    marker='o',
                    alpha=1 if len(seeds) == 1 else SEVERAL,
                )
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=ROUND))


def _draw_term(axes: Axes, runs: Mapping[str, Sequence[Curves]], term: str) -> None:
    name = 'total loss' if term == 'loss' else term.replace('_', ' ')
    axes.set_title(name, fontsize=9)
    axes.set_xlabel('iteration', fontsize=8)
    axes.set_ylabel('loss', fontsize=8)
    axes.tick_params(labelsize=8)
    for i, seeds in enumerate(runs.values()):
        for curves in seeds:
            if term in curves:
                axes.plot(
                    *curves[term],
                    color=colour(i),
                    linewidth=1.3,
                    marker='.' if len(curves[term].steps) == 1 else '',
                    alpha=1 if len(seeds) == 1 else SEVERAL,
                )
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=ROUND))
    axes.yaxis.set_major_formatter('{x:g}')


def _legend(figure: Figure, axes: Axes, runs: Mapping[str, Sequence[Curves]]) -> None:
    """Colours are runs; line styles are student and teacher."""
    handles = [Line2D([], [], color=colour(i), label=name) for i, name in enumerate(runs)]
    roles = {role for seeds in runs.values() for curves in seeds for role in history(curves)}
    if 'student' in roles:
        handles += [
            Line2D([], [], color='#666666', linestyle=LINES[role], label=f'{role} (AP)')
            for role in ('teacher', 'student')
        ]
    figure.legend(handles=handles, loc='outside lower center', ncols=len(handles))
