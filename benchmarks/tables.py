"""The tables and figures of the documentation, from the JSON files under benchmarks/results/.

A page has a table between two comments that name it:

    <!-- table losses -->
    ...
    <!-- end of table losses -->

This command writes what is between them anew, and the figures that stand beside them:

    python benchmarks/tables.py            # after `make bench`, which ends with it
    python benchmarks/tables.py --check    # write nothing; status 1 if a page differs from the JSON files

``tests/benchmarks/test_tables.py`` makes the same check.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import _figures as figures

from sssd.errors import UserError, run_cli

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / 'benchmarks' / 'results'
PAGES = ('docs/performance.md', 'docs/distributed.md', 'docs/getting_started.md')
MARKED = re.compile(r'<!-- table (\w+) -->\n.*?<!-- end of table \1 -->', re.DOTALL)


def read(name: str, results: Path = RESULTS) -> dict:
    """A results file by its name without ``.json``.

    Raises:
        UserError: If there is none.
    """
    path = results / f'{name}.json'
    if not path.is_file():
        raise UserError(f'{path} does not exist: run the benchmark that writes it, or take its table out of the page.')
    return json.loads(path.read_text())


def grid(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: int) -> list[str]:
    """Lines of a Markdown table, the last ``numbers`` columns of which are numbers."""
    rule = ['---'] * (len(header) - numbers) + ['--:'] * numbers
    return ['| ' + ' | '.join(row) + ' |' for row in (header, rule, *rows)]


def source(name: str, found: dict) -> str:
    """Where the figures come from, in a sentence."""
    machine, note = found['machine'], found['note']
    where = f'{machine["gpu"] or machine["cpu"]}, {machine["cores"]} cores'
    if note:
        where += f' ({note})'
    return f'Medians of {found["repeats"]}, {where}, {found["finished"][:10]}: `{name}.json`.'


def cases(name: str, results: Path) -> list[str]:
    """Time and memory of all ways of all cases."""
    found = read(name, results)
    rows = []
    for row in found['rows']:
        for way, call in row['calls'].items():
            peak = call['peak_over_baseline']
            memory = ('', '') if peak is None else (f'{call["peak_mib"]:.0f}', f'{peak:.2f}')
            time = call['cpu']
            rows.append((row['case'], way, f'{time["median_ms"]:.1f}', f'{time["over_baseline"]:.2f}', *memory))
    header = ('case', 'way', 'CPU, ms', 'over the first', 'peak, MiB', 'over the first')
    return [*grid(header, rows, 4), '', source(name, found)]


def images(results: Path) -> list[str]:
    """How many times as fast the views are made."""
    found = read('bench_images', results)
    (row,) = found['rows']
    names = dict(
        mmdet="mmdet's `MultiBranch` with like transforms",
        distortion='the same with `PhotoMetricDistortion` for all changes of colour',
    )
    rows = [
        (text, *(f'{row[f"{kind}_speed_over"][way]:.2f}' for kind in ('cpu', 'wall'))) for way, text in names.items()
    ]
    speed = f'{row["cpu_images_per_second"]:.0f} images a second of CPU time and worker.'
    return [
        *grid(('images a second over it', 'CPU time', 'wall time'), rows, 2),
        '',
        f'{speed} {source("bench_images", found)}',
    ]


#: What the page calls the steps of benchmarks/step.py.
STEPS = dict(
    mmdet='mmdet',
    branch='SED, `branch`',
    lean='SED, `lean`',
    joint='SED, `joint`',
    operator="SED, `branch`, mmcv's RoIAlign",
)
STEP_FILES = ('bench_step_retinanet_r18', 'bench_step_retinanet_r50')


def steps(results: Path) -> list[str]:
    """Time, arithmetic and memory of training steps over a supervised one."""
    rows, sources = [], []
    for name in figures.STEP_FILES:
        found = read(name, results)
        for row in found['rows']:
            for way, call in row['calls'].items():
                if way != row['baseline']:
                    rows.append(step_row(row, way, call))
        most = f', at most {row["max_rows"]} RoI rows' if row.get('max_rows') else ''
        about = f'{row["detector"]}: {size(row["size"])} pixels{most}, memory at {size(row["memory"]["size"])}.'
        sources.append(f'{about} {source(name, found)}')
    header = (
        'detector',
        'step',
        'time over supervised',
        'range',
        'arithmetic',
        "over mmdet's",
        'peak memory over supervised',
    )
    return [*grid(header, rows, 5), '', '\n\n'.join(sources)]


def step_row(row: dict, way: str, call: dict) -> tuple[str, ...]:
    """One way of one detector."""
    time = call['cpu']
    least, most = time['over_baseline_range']
    return (
        row['detector'],
        STEPS.get(way, way),
        f'{time["over_baseline"]:.2f}',
        f'{least:.2f} to {most:.2f}',
        f'{row["flops_over_baseline"][way]:.2f}' if 'flops_over_baseline' in row else '',
        f'{row["cpu_over_mmdet"][way]:.2f}',
        f'{row["memory"][way]["over_baseline"]:.2f}',
    )


def memory(results: Path) -> list[str]:
    """Peaks of a step, in MiB and over a supervised one."""
    rows, sources = [], []
    for name in figures.STEP_FILES:
        found = read(name, results)
        for row in found['rows']:
            peaks = row['memory']
            for way in ('supervised', 'mmdet', 'branch'):
                peak = peaks[way]
                rows.append(
                    (
                        row['detector'],
                        size(peaks['size']),
                        STEPS.get(way, way),
                        f'{peak["mib"]:.0f}',
                        f'{peak["over_baseline"]:.2f}',
                    )
                )
        sources.append(f'`{name}.json`')
    header = ('detector', 'pixels', 'step', 'peak, MiB', 'over supervised')
    return [*grid(header, rows, 2), '', f'From {", ".join(sources)}.']


def one_pass(results: Path) -> list[str]:
    """What one pass over two batches takes of two passes, and what it would save of a step."""
    found, rows = read('bench_one_pass', results), []
    for row in found['rows']:
        one = row['calls']['one']
        least, most = one['cpu']['over_baseline_range']
        rows.append(
            (
                f'{row["detector"]}, {row["images"][0]} + {row["images"][1]} images',
                f'{one["cpu"]["over_baseline"]:.2f}',
                f'{least:.2f} to {most:.2f}',
                f'{100 * row["saved_of_step"]:.1f} %',
                f'{one["peak_over_baseline"]:.2f}',
            )
        )
    header = ('backbone and neck', 'time over two passes', 'range', 'saved of the step', 'peak memory over two')
    about = f'{size(found["rows"][0]["size"])} pixels. {source("bench_one_pass", found)}'
    return [*grid(header, rows, 4), '', about]


def growth(name: str, ways: Sequence[str], results: Path) -> list[str]:
    """Time over the first way, curve by curve and point by point."""
    found, rows = read(name, results), []
    for row in sorted(found['rows'], key=lambda row: (row['curve'], row['at'])):
        cpu = {way: row['calls'][way]['cpu'] for way in ways}
        ratios = (f'{one["over_baseline"]:.2f}' for one in cpu.values())
        once = row['calls'][row['baseline']]['cpu']['median_ms'] / row.get('times', 1)  # short calls are repeated
        rows.append((row['curve'], str(row['at']), f'{once:.1f}', *ratios))
    header = ('curve', 'at', f'{found["rows"][0]["baseline"]}, CPU ms', *(f'{way}, over it' for way in ways))
    return [*grid(header, rows, len(header) - 1), '', source(name, found)]


def size(pixels: Sequence[int]) -> str:
    """Height and width in words."""
    return ' x '.join(map(str, pixels))


def walk(results: Path) -> list[str]:
    """How long each command of the first page took."""
    found = read('first_page_walk', results)
    rows = [(f'`{step["command"]}`', clock(step['seconds']), clock(step['cpu_seconds'])) for step in found['steps']]
    machine = f'{found["machine"]["kind"]}, {found["system"]}, {found["date"]}, commit {found["commit"]}'
    return [*grid(('command', 'time', 'CPU time'), rows, 2), '', f'{machine}: `first_page_walk.json`.']


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds."""
    return '{}:{:02}'.format(*divmod(round(seconds), 60))


TABLES: dict[str, Callable[[Path], list[str]]] = dict(
    losses=lambda results: cases('bench_losses', results),
    guide=lambda results: cases('bench_guide', results),
    ema=lambda results: cases('bench_ema', results),
    images=images,
    steps=steps,
    one_pass=one_pass,
    memory=memory,
    growth_losses=lambda results: growth('bench_growth_losses', ('stable', 'fused'), results),
    growth_guide=lambda results: growth('bench_growth_guide', ('ours',), results),
    growth_step=lambda results: growth('bench_growth_step', ('mmdet', 'branch'), results),
    walk=walk,
)


def filled(page: str, results: Path = RESULTS) -> str:
    """The text of a page with its tables made from the JSON files.

    Raises:
        UserError: If a comment names a table that is not known, or the JSON of one is missing.
    """

    def table(found: re.Match) -> str:
        name = found[1]
        if name not in TABLES:
            raise UserError(f'there is no table {name!r}; benchmarks/tables.py makes {", ".join(TABLES)}.')
        lines = '\n'.join(TABLES[name](results))
        return f'<!-- table {name} -->\n\n{lines}\n\n<!-- end of table {name} -->'

    return MARKED.sub(table, page)


def main(argv: Sequence[str] | None = None) -> int:
    """Write pages and figures, or check them; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--check', action='store_true', help='write nothing; status 1 if something differs')
    args = parser.parse_args(argv)
    texts = {name: filled((ROOT / name).read_text()) for name in PAGES}
    stale = [name for name, text in texts.items() if text != (ROOT / name).read_text()]
    stale += figures.stale(RESULTS)
    if args.check:
        for name in stale:
            print(f'{name} differs from benchmarks/results: run python benchmarks/tables.py', file=sys.stderr)
        return 1 if stale else 0
    for name, text in texts.items():
        (ROOT / name).write_text(text)
    figures.draw_all(RESULTS)
    print(f'written anew: {", ".join(stale) or "nothing, all was as in the JSON files"}')
    return 0


if __name__ == '__main__':
    sys.exit(run_cli(main))
