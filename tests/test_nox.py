"""The nox sessions: one per stack, with pinned versions, in the order that works."""

import importlib.util
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from sssd.compat import STACKS

pytest.importorskip('nox', reason='nox is not installed (pip install nox)')
TITLES = dict(forks='maintained forks', official='official releases')


@pytest.fixture(scope='module')
def noxfile(repo_root):
    """The module ``noxfile``."""
    spec = importlib.util.spec_from_file_location('noxfile', repo_root / 'noxfile.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _pins(path):
    return dict(re.findall(r'^([\w-]+)==(\S+)', path.read_text(), flags=re.M))


def test_nox_lists_a_session_per_stack(repo_root):
    done = subprocess.run(
        [sys.executable, '-m', 'nox', '--list'], cwd=repo_root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.findall(r'^\* (\S+) ->', done.stdout, flags=re.M) == ['forks', 'official']


@pytest.mark.parametrize('name', TITLES)
def test_the_constraints_pin_the_versions_that_sssd_asks_for(noxfile, repo_root, name):
    constraints, distributions = noxfile.STACKS[name]
    pins = _pins(repo_root / constraints)
    assert [pins[word] for word in distributions] == list(STACKS[TITLES[name]].values())
    assert {'torch', 'numpy', 'pytest', 'nox'} <= set(pins)


def test_every_dependency_is_pinned_on_both_stacks(noxfile, repo_root):
    text = (repo_root / 'pyproject.toml').read_text()
    for block in re.findall(r'^(?:dependencies|dev) = \[(.*?)^\]', text, re.M | re.S):
        named = set(re.findall(r'"([a-zA-Z0-9_-]+)', block))
        assert all(named <= set(_pins(repo_root / constraints)) for constraints, _ in noxfile.STACKS.values())


@pytest.mark.parametrize('name', TITLES)
def test_a_session_installs_torch_before_mmcv_and_runs_the_tests(noxfile, name):
    installed, ran = [], []
    session = SimpleNamespace(
        posargs=[],
        install=lambda *words, env: installed.append((words, env)),
        run=lambda *words, **_: ran.append(words),
    )
    getattr(noxfile, name).func(session)
    order = [words[-1] for words, _ in installed]
    mmengine, mmcv, mmdet = noxfile.STACKS[name][1]
    assert order == ['psutil', 'torch', mmengine, mmcv, mmdet, '.[dev]']
    assert all(words[:2] == ('-c', noxfile.STACKS[name][0]) for words, _ in installed)
    assert installed[3] == (('-c', noxfile.STACKS[name][0], '--no-build-isolation', mmcv), {'MMCV_WITH_OPS': '1'})
    assert ran[-1][:4] == ('python', '-m', 'pytest', '-q')


def test_the_tests_of_a_session_are_there(noxfile, repo_root):
    assert all((repo_root / path).exists() for path in noxfile.WORKFLOW)
