"""The benchmarks of losses, guide and EMA run: what they compare agrees, and what they write tells each ratio."""

import json

import pytest

from sssd.errors import UserError

ROWS = dict(losses={'fused'}, guide={'ours', 'sssd'}, ema={'teacher'})


@pytest.mark.parametrize('name', sorted(ROWS))
def test_a_quick_run(name, load_benchmark, tmp_path, capsys):
    out = tmp_path / 'out.json'
    assert load_benchmark(name).main(['--quick', '--out', str(out)]) == 0
    found = json.loads(out.read_text())
    assert found['quick'] and found['rows']
    said = capsys.readouterr().out
    for row in found['rows']:
        (ours,) = ROWS[name] & set(row['calls'])
        ratios = [row['calls'][ours][kind]['over_baseline'] for kind in ('wall', 'cpu')]
        assert min(ratios) > 0 and row['case'] in said


def test_a_quick_run_without_a_file_writes_none(load_benchmark, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_benchmark('ema').main(['--quick']) == 0
    assert not list(tmp_path.iterdir())


def test_make_bench_finds_every_script_that_uses_the_helper(repo_root):
    """By the line that it looks for."""
    folder = repo_root / 'benchmarks'
    users = {path.stem for path in folder.glob('*.py') if '_timing' in path.read_text() and path.stem != '_timing'}
    assert users >= set(ROWS)
    assert all('\nimport _timing as timing\n' in (folder / f'{name}.py').read_text() for name in users)


def test_growth(load_benchmark, tmp_path):
    growth = load_benchmark('growth')
    for part, ours in dict(guide='ours', losses='fused', step='branch').items():
        out = tmp_path / f'{part}.json'
        assert growth.main(['--quick', '--parts', part, '--out', str(out)]) == 0
        curves = {}
        for row in json.loads(out.read_text())['rows']:
            curves.setdefault(row['curve'], {})[row['at']] = row['calls'][ours]['cpu']['over_baseline']
        assert (
            len(curves) == dict(guide=2, losses=4, step=2)[part]
            and min(map(min, map(dict.values, curves.values()))) > 0
        )
    with pytest.raises(UserError, match='--out names one file'):
        growth.main(['--out', str(out)])
