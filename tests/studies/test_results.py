"""The results file keeps every entry."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from sssd.errors import UserError
from sssd.studies.results import ResultsFile


def test_entries_are_replaced_by_run_and_seed(tmp_path):
    path = tmp_path / 'deep' / 'results.json'
    ResultsFile(path, 'name').put({'run': 'few', 'seed': 0, 'x': 1})
    ResultsFile(path).put({'run': 'sed', 'seed': 0, 'x': 2})
    ResultsFile(path).put({'run': 'few', 'seed': 0, 'x': 3})
    assert [(e['run'], e['x']) for e in ResultsFile(path).entries()] == [('few', 3), ('sed', 2)]
    assert ResultsFile(path).find('sed', 0)['x'] == 2
    assert ResultsFile(path).find('sed', 1) is None


def test_what_is_said_of_the_study_stays_beside_its_runs(tmp_path):
    results = ResultsFile(tmp_path / 'results.json', 'name')
    results.put({'run': 'few', 'seed': 0})
    results.describe('table', {'title': 'T'})
    written = results.path.stat().st_mtime_ns
    results.describe('table', {'title': 'T'})
    assert results.path.stat().st_mtime_ns == written
    results.put({'run': 'sed', 'seed': 0})
    content = json.loads(results.path.read_text())
    assert content['table'] == {'title': 'T'} and [entry['run'] for entry in content['runs']] == ['few', 'sed']
    assert list(content) == ['study', 'format', 'table', 'runs']


def test_several_writers_lose_nothing_and_leave_one_file(tmp_path):
    path = tmp_path / 'results.json'
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda seed: ResultsFile(path).put({'run': 'few', 'seed': seed}), range(40)))
    assert len(ResultsFile(path).entries()) == 40
    assert {item.name for item in tmp_path.iterdir()} == {'results.json', '.lock'}


def test_file_of_another_kind_is_not_overwritten(tmp_path):
    path = tmp_path / 'results.json'
    path.write_text('[1, 2]')
    with pytest.raises(UserError, match='no results file'):
        ResultsFile(path).put({'run': 'few', 'seed': 0})
    assert path.read_text() == '[1, 2]'
