"""The page of a study: its tables, its curves, and the runs of one seed side by side."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from sssd import provenance
from sssd.report.compare_page import comparison
from sssd.report.curves import plot_curves
from sssd.report.page import Page
from sssd.report.scalars import read_curves
from sssd.report.tables import Grid


def write_study_report(
    name: str, tables: Sequence[Grid], runs: Mapping[str, Mapping[int, Path]], out: str | Path, images: int
) -> Path:
    """Write the page of a study.

    Args:
        name: Its name.
        tables: What it prints.
        runs: For each run its work directories by seed, those that are there.
        out: The page.
        images: Most validation images on which the runs of the last seed are compared; 0 for none.

    Returns:
        The page.
    """
    page = Page(f'Study {name}', f'Written {provenance.now()}.')
    for table in tables:
        page.section(table.title or name, table.note)
        page.table(table.columns, table.rows)
    curves = {run: [read_curves(place) for place in seeds.values()] for run, seeds in runs.items()}
    with tempfile.TemporaryDirectory() as folder:
        if any(one for seeds in curves.values() for one in seeds):
            page.section('Curves', 'One line for each seed.')
            page.picture(plot_curves(curves, Path(folder) / 'curves.png'), 'AP and loss terms')
        seeds = sorted({seed for places in runs.values() for seed in places})
        last = {run: places[seeds[-1]] for run, places in runs.items() if seeds and seeds[-1] in places}
        if len(last) > 1:
            page.section(f'The runs of seed {seeds[-1]}', 'Pictures and intervals on validation images.')
            comparison(page, last, images, 'cpu', Path(folder), students=True)
    return page.write(out)
