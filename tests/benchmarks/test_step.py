"""The benchmarks of a step and of images run, compare before they time, and say what they found."""

import json


def test_a_step(load_benchmark, tmp_path):
    out = tmp_path / 'step.json'
    assert load_benchmark('step').main(['--quick', '--detectors', 'retinanet_r18', '--out', str(out)]) == 0
    (row,) = json.loads(out.read_text())['rows']
    assert list(row['calls']) == ['supervised', 'mmdet', 'branch', 'lean', 'joint']
    assert all(call['relative_difference'] == 0 for name, call in row['calls'].items() if name != 'supervised')
    assert set(row['gradient_differences']) == {'branch', 'lean'} and row['cpu_over_mmdet']['mmdet'] == 1
    assert row['memory']['joint']['mib'] > row['memory']['supervised']['mib'] > 0


def test_images(load_benchmark, tmp_path):
    out = tmp_path / 'images.json'
    assert load_benchmark('images').main(['--quick', '--out', str(out)]) == 0
    (row,) = json.loads(out.read_text())['rows']
    assert row['calls']['sssd']['relative_difference'] == row['calls']['distortion']['relative_difference'] == 0
    assert set(row['cpu_speed_over']) == {'mmdet', 'distortion', 'sssd'} and row['cpu_images_per_second'] > 1
