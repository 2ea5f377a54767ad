"""The table of detectors: what the docs say is what was run, and rows of it are run again."""

import json
from importlib.util import find_spec

import pytest

#: Rows that take a few seconds.
QUICK = ('yolox', 'rtmdet', 'cascade_rcnn', 'vfnet', 'mask_rcnn, labels without masks', 'sparse_rcnn')


@pytest.fixture(scope='module')
def detectors(load_benchmark):
    return load_benchmark('detectors')


@pytest.fixture(scope='module')
def results(detectors):
    return json.loads(detectors.RESULTS.read_text())


def test_the_docs_have_the_table_of_the_results(detectors, results, repo_root):
    table = detectors.table(results)
    assert (repo_root / 'docs/detectors.md').read_text().endswith(table)
    rows = results['rows']
    assert list(rows) == list(detectors.CASES) and sum(row['trains'] for row in rows.values()) >= 20
    for row in rows.values():
        assert row['trains'] or ('crash' not in row['reason'] and '\n' not in row['reason'])


@pytest.mark.parametrize('name', QUICK)
def test_a_row_is_what_comes_of_it(name, detectors, results, tmp_path):
    row = detectors.run_case(name, tmp_path)
    wanted = results['rows'][name]
    for key in ('detector', 'trains', 'reason', 'config', 'changes', 'terms', 'parameters'):
        assert row.get(key) == wanted.get(key)


@pytest.mark.parametrize('name, package', [('paa', 'sklearn'), ('convnext', 'mmpretrain')])
def test_a_package_that_is_not_installed_is_named(name, package, detectors, tmp_path):
    if find_spec(package):
        pytest.skip(f'{package} is installed')
    row = detectors.run_case(name, tmp_path)
    assert not row['trains'] and f'needs the package {package}, which cannot be imported: pip install' in row['reason']
