"""The benchmark of large folders runs, and both ways find the same images."""

import json

import pytest


@pytest.mark.slow
def test_all_starts_find_the_same(load_benchmark, tmp_path):
    script, out = load_benchmark('image_folder'), tmp_path / 'deep/out.json'
    words = ['--images', '2500', '--looks', '100', '--folder', str(tmp_path), '--out', str(out)]
    assert script.main(words) == 0
    (row,) = json.loads(out.read_text())['rows']
    rows = [row[way] for way in script.WAYS]
    assert [found['images'] for found in rows] == [2500] * 3 and len({found['portrait'] for found in rows}) == 1
    assert row['kept_megabytes'] > 0 and all(found['worker']['after']['uss'] > 0 for found in rows)
    assert not list(tmp_path.glob('sssd-images*'))
