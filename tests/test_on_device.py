"""Nothing of ours in a step on CUDA reads a value back or leaves a tensor on the CPU; no GPU is needed here."""

import json
import os
import subprocess

import pytest


@pytest.fixture(scope='module')
def told(forked_python, repo_root):
    """What each part did on a device without values, by name; the device needs a process of its own."""
    helpers = repo_root / 'tests' / 'helpers'
    paths = os.pathsep.join([str(repo_root), str(helpers), *filter(None, [os.environ.get('PYTHONPATH')])])
    done = subprocess.run(
        [forked_python, str(helpers / 'on_device.py')],
        env={**os.environ, 'PYTHONPATH': paths},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    if not found:
        pytest.skip('this PyTorch is built without CUDA and registers no device from Python')
    return found


def test_losses_views_guides_ema_and_shrinking(told):
    good = {name: text for name, text in told.items() if not name.startswith('BAD')}
    parts = {'retinanet', 'c4', 'roi', 'LGD', 'ema hook', 'shrink', 'synced head', 'unlabelled, branch'}
    assert len(good) > 30 and parts <= set(good)
    assert {name: text for name, text in good.items() if text != 'ok'} == {}


def test_what_waits_for_the_device_is_found(told):
    """Else the test above could not fail."""
    bad = {name: text for name, text in told.items() if name.startswith('BAD')}
    assert len(bad) == 10 and 'ok' not in bad.values()
