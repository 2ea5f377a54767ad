"""The benchmarks of a step and of images run, compare before they time, and say what they found."""

import json

import pytest
import torch


def test_a_step(load_benchmark, tmp_path):
    out = tmp_path / 'step.json'
    assert load_benchmark('step').main(['--quick', '--detectors', 'retinanet_r18', '--out', str(out)]) == 0
    (row,) = json.loads(out.read_text())['rows']
    assert list(row['calls']) == ['supervised', 'mmdet', 'branch', 'lean', 'joint', 'ratios']
    assert all(call['relative_difference'] == 0 for name, call in row['calls'].items() if name != 'supervised')
    assert set(row['gradient_differences']) == {'branch', 'lean'} and row['cpu_over_mmdet']['mmdet'] == 1
    assert row['memory']['joint']['mib'] > row['memory']['supervised']['mib'] > 0
    flops = row['flops_over_baseline']
    assert flops['supervised'] == 1 and 2.3 < flops['branch'] < flops['lean'] < 3.2
    assert flops['joint'] == pytest.approx(flops['branch'], rel=1e-3)


def test_operations_are_counted_by_formula(load_benchmark):
    weight = torch.randn(4, 5, requires_grad=True)
    step = load_benchmark('step')
    assert step.counted(lambda: torch.randn(3, 4) @ weight) == 2 * 3 * 4 * 5
    assert step.counted(lambda: (torch.randn(3, 4) @ weight).sum().backward()) == 2 * 2 * 3 * 4 * 5, 'no input gradient'


def test_one_pass(load_benchmark, tmp_path):
    out = tmp_path / 'one_pass.json'
    assert load_benchmark('one_pass').main(['--quick', '--out', str(out)]) == 0
    for row in json.loads(out.read_text())['rows']:
        assert row['calls']['one']['relative_difference'] < 1e-4
        assert row['calls']['step']['cpu']['over_baseline'] > 1 and row['saved_of_step'] < 1


def test_images(load_benchmark, tmp_path):
    out = tmp_path / 'images.json'
    assert load_benchmark('images').main(['--quick', '--out', str(out)]) == 0
    (row,) = json.loads(out.read_text())['rows']
    assert row['calls']['sssd']['relative_difference'] == row['calls']['distortion']['relative_difference'] == 0
    assert set(row['cpu_speed_over']) == {'mmdet', 'distortion', 'sssd'} and row['cpu_images_per_second'] > 1
