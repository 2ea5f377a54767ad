"""The doctor's benchmark runs and writes both times; how fast anything is, is not tested."""

import json


def test_both_times(load_benchmark, tmp_path, monkeypatch, repo_root):
    monkeypatch.setenv('PYTHONPATH', str(repo_root))
    out = tmp_path / 'doctor.json'
    assert load_benchmark('doctor').main(['--images', '10', '--boxes', '60', '--points', '3', '--out', str(out)]) == 0
    result = json.loads(out.read_text())['result']
    assert (result['images'], result['boxes']) == (10, 60)
    assert result['without_images']['errors'] == 1 and result['with_images']['errors'] == 0
    for name in ('without_images', 'with_images'):
        found = result[name]
        assert found['ratio'] > 0 and found['start_seconds'] > 0
