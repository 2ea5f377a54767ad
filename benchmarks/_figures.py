"""The figures of docs/performance.md, drawn from the JSON files under benchmarks/results/ by benchmarks/tables.py.

Each picture carries a digest of the files that it was drawn from, by which :func:`stale` knows whether it shows them.
"""

import hashlib
import json
import math
from collections.abc import Callable, Container, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

from sssd.figures import style

FOLDER = Path(__file__).resolve().parents[1] / 'docs' / 'figures'
#: The key of the digest in a picture.
DIGEST = 'Source'
#: What a number stands on.
LABEL = dict(facecolor='white', edgecolor='none', pad=0.5)


def digest(names: Sequence[str], results: Path) -> str:
    """Of the results files of a figure."""
    content = b''.join((results / f'{name}.json').read_bytes() for name in names)
    return hashlib.sha256(content).hexdigest()


def path_of(figure: str, folder: Path = FOLDER) -> Path:
    """Where a figure lies."""
    return folder / f'performance_{figure}.png'


def stale(results: Path, folder: Path = FOLDER) -> list[str]:
    """Names of the figures that are missing, or were drawn from other results."""
    return [path_of(name).name for name in FIGURES if _stale(name, results, folder)]


def _stale(name: str, results: Path, folder: Path) -> bool:
    path = path_of(name, folder)
    if not path.is_file():
        return True
    with Image.open(path) as picture:
        return picture.info.get(DIGEST) != digest(FIGURES[name][0], results)


def draw_all(results: Path, folder: Path = FOLDER, every: bool = False) -> None:
    """Draw what is stale, or ``every`` figure."""
    for name, (files, draw) in FIGURES.items():
        if every or _stale(name, results, folder):
            found = [json.loads((results / f'{file}.json').read_text()) for file in files]
            with style.styled():
                figure = draw(*found)
                figure.savefig(path_of(name, folder), metadata={DIGEST: digest(files, results), 'Software': ''})
            style.plt.close(figure)


def ratios(found: dict) -> Figure:
    """Time and memory of every way over the first, case by case, as bars."""
    rows = found['rows']
    first = rows[0]['baseline']
    ways = list(dict.fromkeys(way for row in rows for way in list(row['calls'])[1:]))
    with_memory = any(call['peak_over_baseline'] for row in rows for call in row['calls'].values())
    figure = style.new_figure(1.4 + 0.2 * len(rows) * (len(ways) + 1))
    panels = figure.subplots(1, 1 + with_memory, sharey=True, squeeze=False)[0]
    time = [{way: call['cpu']['over_baseline'] for way, call in row['calls'].items()} for row in rows]
    bars(panels[0], time, ways)
    panels[0].set(
        yticks=range(len(rows)), yticklabels=[label(row, first) for row in rows], xlabel=f'CPU time over {first}'
    )
    if with_memory:
        bars(panels[1], [{way: call['peak_over_baseline'] for way, call in row['calls'].items()} for row in rows], ways)
        panels[1].set_xlabel(f'peak memory over {first}')
    style.legend_below(figure, [Patch(color=style.colour(place), label=way) for place, way in enumerate(ways)])
    return figure


def label(row: dict, first: str) -> str:
    """A case, and what its ways are divided by where that is not what others are."""
    return row['case'] if row['baseline'] == first else f'{row["case"]}\n(over {row["baseline"]})'


def bars(axes: Axes, values: Sequence[dict], ways: Sequence[str]) -> None:
    """A group of bars for each case, from above, each with its number; a line at 1."""
    height = 0.8 / len(ways)
    most = max(max(value.values()) for value in values)
    for line, value in enumerate(values):
        for at, way in places(line, value, ways):
            axes.barh(at, value[way], 0.9 * height, color=style.colour(ways.index(way)))
            axes.text(value[way] + 0.01 * most, at, f'{value[way]:.2f}', va='center', fontsize=8, bbox=LABEL)
    axes.axvline(1, color=style.GREY, linewidth=1)
    axes.set(ylim=(len(values) - 0.5, -0.5), xlim=(0, 1.12 * max(most, 1)))
    axes.grid(axis='y', visible=False)


def places(line: int, value: Container[str], ways: Sequence[str]) -> list[tuple[float, str]]:
    """Where the bars of a case stand, of the ways that it has."""
    here = [way for way in ways if way in value]
    return [(line + (place - (len(here) - 1) / 2) * 0.8 / len(ways), way) for place, way in enumerate(here)]


def steps(*found: dict) -> Figure:
    """Time and memory of training steps over a supervised one; a cross where the arithmetic would have the time."""
    rows = [row for one in found for row in one['rows']]
    ways = list(dict.fromkeys(way for row in rows for way in list(row['calls'])[1:]))
    figure = style.new_figure(1.4 + 0.2 * len(rows) * (len(ways) + 1))
    time, memory = figure.subplots(1, 2, sharey=True)
    bars(time, [{way: call['cpu']['over_baseline'] for way, call in row['calls'].items()} for row in rows], ways)
    bars(memory, [{way: row['memory'][way]['over_baseline'] for way in row['calls']} for row in rows], ways)
    handles = [Patch(color=style.colour(place), label=way) for place, way in enumerate(ways)]
    for line, row in enumerate(rows):
        for at, way in places(line, row['calls'], ways):
            if 'flops_over_baseline' in row:
                cross = time.scatter(
                    row['flops_over_baseline'][way], at, marker='x', color='black', zorder=3, label='arithmetic'
                )
                handles = [*handles[: len(ways)], cross]
    time.set(yticks=range(len(rows)), yticklabels=[row['detector'] for row in rows])
    time.set_xlabel('CPU time over a supervised step')
    memory.set_xlabel('peak memory over a supervised step')
    style.legend_below(figure, handles)
    return figure


def curves(found: dict, value: Callable[[dict], float], label: str, ways: Sequence[str], scale: str) -> Figure:
    """A panel for every curve of benchmarks/growth.py, a line for every way."""
    names = list(dict.fromkeys(row['curve'] for row in found['rows']))
    figure = style.new_figure(0.6 + 3.0 * math.ceil(len(names) / 2))
    panels = figure.subplots(math.ceil(len(names) / 2), 2, squeeze=False).flat
    for name, axes in zip(names, panels):
        points = sorted(((row['at'], row) for row in found['rows'] if row['curve'] == name), key=lambda one: one[0])
        for place, way in enumerate(ways):
            axes.plot(
                [at for at, _ in points],
                [value(row['calls'][way]) for _, row in points],
                marker='o',
                color=style.colour(place),
                label=way,
            )
        axes.set(xscale='log', xlabel=name, ylabel=label)
        axes.set_xticks([at for at, _ in points], [f'{at:,}'.replace(',', ' ') for at, _ in points])
        axes.xaxis.set_minor_locator(style.NullLocator())
        values = [value(row['calls'][way]) for _, row in points for way in ways]
        if scale == 'log':
            style.logarithmic(axes.yaxis, 0.8 * min(values), 1.25 * max(values))
        else:
            axes.set_ylim(0, 1.1 * max(values))
    style.legend_below(figure, axes.get_lines())
    return figure


def growth_losses(found: dict) -> Figure:
    """Eq. 5 with rows and classes."""
    ways = ('probabilities', 'stable', 'fused')
    return curves(found, lambda call: call['cpu']['median_ms'], 'CPU time, ms', ways, 'log')


def growth_step(found: dict) -> Figure:
    """A training step with unlabelled images and pixels."""
    ways = ('mmdet', 'branch')
    return curves(found, lambda call: call['cpu']['over_baseline'], 'time over a supervised step', ways, 'linear')


def growth_guide(found: dict) -> Figure:
    """The guide with boxes and images."""
    return curves(found, lambda call: call['cpu']['median_ms'], 'CPU time, ms', ('public', 'ours'), 'log')


#: The results of training steps, one file a detector.
STEP_FILES = ('bench_step_retinanet_r18', 'bench_step_retinanet_r50', 'bench_step_faster_rcnn_r50')
#: By name: the results files of a figure, and what draws it from their contents.
FIGURES: dict[str, tuple[tuple[str, ...], Callable[..., Figure]]] = dict(
    losses=(('bench_losses',), ratios),
    guide=(('bench_guide',), ratios),
    ema=(('bench_ema',), ratios),
    steps=(STEP_FILES, steps),
    growth_losses=(('bench_growth_losses',), growth_losses),
    growth_guide=(('bench_growth_guide',), growth_guide),
    growth_step=(('bench_growth_step',), growth_step),
)
