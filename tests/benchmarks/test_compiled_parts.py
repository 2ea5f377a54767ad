"""The benchmark of compiled parts runs and writes what a reader needs; without code generation, which takes minutes."""

import json

import pytest
import torch


@pytest.fixture(scope='module')
def script(load_benchmark):
    """The script as a module."""
    return load_benchmark('compiled_parts')


@pytest.mark.slow
def test_a_config_compiled_beside_eager(script, repo_root, tmp_path):
    out, config = tmp_path / 'deep/out.json', str(repo_root / 'configs/quickstart/retinanet_sed.py')
    assert script.main([config, '--size', '128', '128', '--backend', 'eager', '--out', str(out)]) == 0
    found = json.loads(out.read_text())
    assert found['backend'] == 'eager' and {'commit', 'machine', 'versions', 'started', 'note'} <= set(found)
    (row,) = found['rows']
    assert row['graphs'] > 0 and row['graph_breaks'] == 0 and row['eager']['largest_gradient'] > 0
    assert all(row[name]['relative_difference'] < 1e-5 for name in ('first', 'second'))


def test_the_difference_of_gradients(script):
    eager = dict(gradients=dict(a=torch.tensor([3.0, 4.0]), b=torch.tensor([0.0])))
    other = dict(seconds=1.234, loss=2.0, gradients=dict(a=torch.tensor([3.0, 4.3]), b=torch.tensor([0.4])))
    found = script.compared(eager, other)
    assert found['seconds'] == 1.23 and found['largest_gradient_difference'] == pytest.approx(0.4)
    assert found['relative_difference'] == pytest.approx(0.1)
