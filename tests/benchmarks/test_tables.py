"""What the documentation says in tables and figures is what the JSON files of the benchmarks say."""

import json
import shutil

import pytest

from sssd.errors import UserError


@pytest.fixture(scope='module')
def tables(load_benchmark):
    return load_benchmark('tables')


@pytest.fixture
def results(tables, tmp_path):
    """A copy of the committed results that a test may change."""
    folder = tmp_path / 'results'
    folder.mkdir()
    for path in tables.RESULTS.glob('*.json'):
        shutil.copy(path, folder)
    return folder


def change(path, of):
    """Let ``of`` change the content of a JSON file."""
    found = json.loads(path.read_text())
    of(found)
    path.write_text(json.dumps(found))


def test_pages_and_figures_are_those_of_the_results(tables, capsys):
    status = tables.main(['--check'])
    assert status == 0, capsys.readouterr().err


def test_every_table_stands_in_a_page(tables):
    pages = ''.join((tables.ROOT / page).read_text() for page in tables.PAGES)
    assert {found[1] for found in tables.MARKED.finditer(pages)} == set(tables.TABLES)
    assert all(f'figures/{tables.figures.path_of(name).name})' in pages for name in tables.figures.FIGURES)


def test_another_result_is_another_page_and_a_stale_figure(tables, results):
    page = (tables.ROOT / 'docs/performance.md').read_text()
    assert tables.filled(page, results) == page and not tables.figures.stale(results)

    def slower(found):
        found['rows'][0]['calls']['teacher']['cpu']['over_baseline'] = 7.77

    change(results / 'bench_ema.json', slower)
    assert '| 7.77 |' in tables.filled(page, results)
    assert tables.figures.stale(results) == ['performance_ema.png']


def test_figures_are_drawn_from_the_results(tables, results, tmp_path):
    folder = tmp_path / 'figures'
    folder.mkdir()
    assert len(tables.figures.stale(results, folder)) == len(tables.figures.FIGURES), 'none is there'
    tables.figures.draw_all(results, folder)
    assert not tables.figures.stale(results, folder)


def test_a_table_that_nobody_makes(tables):
    with pytest.raises(UserError, match="there is no table 'loses'"):
        tables.filled('<!-- table loses -->\n<!-- end of table loses -->')


def test_results_that_are_missing(tables, tmp_path):
    with pytest.raises(UserError, match='bench_ema.json does not exist'):
        tables.filled('<!-- table ema -->\n<!-- end of table ema -->', tmp_path)
