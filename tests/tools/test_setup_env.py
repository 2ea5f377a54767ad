"""The script behind ``make env``: its checks, its progress line, its failures."""

import importlib.util
import re
import shutil
import subprocess
import sys
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from sssd.compat import STACKS


@pytest.fixture(scope='module')
def setup_env(repo_root):
    spec = importlib.util.spec_from_file_location('setup_env', repo_root / 'tools/setup_env.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_old_python_is_told_which_one_is_needed(setup_env, monkeypatch):
    monkeypatch.setattr(setup_env.sys, 'version_info', (3, 9, 1))
    with pytest.raises(setup_env.SetupError, match='too old: sssd needs 3.10 or newer'):
        setup_env.check_python()


def test_a_missing_venv_module_is_named(setup_env, monkeypatch):
    monkeypatch.setitem(sys.modules, 'ensurepip', None)
    with pytest.raises(setup_env.SetupError, match='no venv module: install it .*python3-venv'):
        setup_env.check_python()


def test_a_missing_compiler_is_named(setup_env, monkeypatch, tmp_path):
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.delenv('CXX', raising=False)
    with pytest.raises(setup_env.SetupError, match=r'no C\+\+ compiler'):
        setup_env.check_compiler()


def test_missing_headers_are_named(setup_env, monkeypatch, tmp_path):
    compiler = tmp_path / 'c++'
    compiler.write_text('#!/bin/sh\n')
    compiler.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.setattr(setup_env.sysconfig, 'get_paths', lambda: dict(include=str(tmp_path)))
    with pytest.raises(setup_env.SetupError, match='no Python.h in .*python3-dev'):
        setup_env.check_compiler()
    (tmp_path / 'Python.h').touch()
    setup_env.check_compiler()


def test_a_folder_that_is_no_environment_is_left_alone(setup_env, tmp_path):
    kept = tmp_path / 'notes.txt'
    kept.write_text('mine')
    with pytest.raises(setup_env.SetupError, match='no virtual environment'):
        setup_env.make_venv(str(tmp_path))
    assert kept.read_text() == 'mine'


def test_pins_are_read_from_the_constraints(setup_env, monkeypatch, tmp_path):
    assert setup_env.pinned('torch') == 'torch==2.13.0'
    constraints = tmp_path / 'c.txt'
    constraints.write_text('# torch==1.0\ntorchvision==0.1\ntorch==9.8 ; python_version > "3"  # why\n')
    monkeypatch.setattr(setup_env, 'CONSTRAINTS', str(constraints))
    assert setup_env.pinned('torch') == 'torch==9.8'
    with pytest.raises(setup_env.SetupError, match='pins no version of numpy'):
        setup_env.pinned('numpy')


def test_installed_compares_versions_without_their_local_part(setup_env):
    import torch

    version = torch.__version__.split('+')[0]
    assert setup_env.installed(sys.executable, f'torch=={version}')
    assert not setup_env.installed(sys.executable, 'torch==0.1')
    assert not setup_env.installed(sys.executable, 'no-such-package==1.0')


def test_ninjas_steps_become_progress_with_the_time_left(setup_env, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(setup_env.time, 'time', lambda: now[0])
    progress = setup_env.Progress('mmcv')
    progress.feed('running build_ext\n')
    assert progress.text() == 'mmcv: 0:00'
    progress.feed("  building 'mmcv._ext' extension\n")
    now[0] = 107.0
    assert progress.text().startswith('mmcv: 0:07 elapsed, compiling;')
    now[0] = 110.0
    progress.feed('  [1/80] c++ -c a.cpp\n')  # the time of the first file counts
    assert progress.text() == 'mmcv: 0:10 elapsed, compiled 1 of 80 (1 %), about 13:10 left'
    now[0] = 160.0
    progress.feed('  [20/80] c++ -c b.cpp\n')
    assert progress.text() == 'mmcv: 1:00 elapsed, compiled 20 of 80 (25 %), about 3:00 left'


def test_as_many_files_at_once_as_there_are_cores_to_use(setup_env, monkeypatch):
    monkeypatch.setattr(setup_env.os, 'sched_getaffinity', lambda _: {1, 5, 6}, raising=False)
    seen = []
    monkeypatch.setattr(setup_env, 'run_step', lambda title, command, log, env: seen.append(env['MAX_JOBS']))
    monkeypatch.setattr(setup_env, 'installed', lambda *rest: True)
    monkeypatch.delenv('MAX_JOBS', raising=False)
    setup_env.install('python', 'setup.log')
    monkeypatch.setenv('MAX_JOBS', '7')
    setup_env.install('python', 'setup.log')
    assert set(seen[: len(seen) // 2]) == {'3'} and set(seen[len(seen) // 2 :]) == {'7'}


def test_a_step_that_fails_shows_its_last_lines(setup_env, tmp_path, capfd):
    log = tmp_path / 'setup.log'
    with pytest.raises(setup_env.SetupError, match='the step "compile" failed'):
        setup_env.run_step('compile', [sys.executable, '-c', 'print("no such header"); raise SystemExit(1)'], str(log))
    captured = capfd.readouterr()
    assert 'no such header' in captured.err
    assert 'compile: FAILED' in captured.out
    assert 'no such header' in log.read_text()


def test_a_step_that_works_only_says_so(setup_env, tmp_path, capfd):
    setup_env.run_step('greet', [sys.executable, '-c', 'print("hello")'], str(tmp_path / 'log'))
    captured = capfd.readouterr()
    assert re.fullmatch(r'  greet: done \(\d+:\d\d\)\n', captured.out)
    assert captured.err == ''


def test_a_step_that_compiles_says_how_much(setup_env, tmp_path, capfd):
    ninja = 'print("[1/2] c++ a.cpp\\n[2/2] c++ b.cpp")'
    setup_env.run_step('mmcv', [sys.executable, '-c', ninja], str(tmp_path / 'log'))
    assert re.fullmatch(r'  mmcv: done \(\d+:\d\d, 2 files compiled\)\n', capfd.readouterr().out)


def test_the_ninja_of_the_environment_is_found_while_mmcv_is_compiled(setup_env, monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(setup_env, 'run_step', lambda title, command, log, env: seen.append(env['PATH']))
    monkeypatch.setattr(setup_env, 'installed', lambda *rest: True)
    (tmp_path / 'ninja').write_text('#!/bin/sh\n')
    (tmp_path / 'ninja').chmod(0o755)
    setup_env.install(str(tmp_path / 'python'), 'setup.log')
    assert seen and all(shutil.which('ninja', path=path) == str(tmp_path / 'ninja') for path in seen)


@pytest.mark.parametrize('stack_only', [False, True])
def test_the_stack_alone_leaves_sssd_out(setup_env, monkeypatch, stack_only):
    titles = []
    monkeypatch.setattr(setup_env, 'run_step', lambda title, *rest: titles.append(title))
    monkeypatch.setattr(setup_env, 'installed', lambda *rest: True)
    setup_env.install('python', 'setup.log', stack_only=stack_only)
    assert ('sssd and its tools' in titles) is not stack_only
    assert titles[0] == 'build tools' and titles[-1] == 'check that all of it imports'


def test_the_versions_agree_everywhere(setup_env, repo_root):
    metadata = (repo_root / 'pyproject.toml').read_text()
    dists = dict(mmengine='onedl-mmengine', mmcv='onedl-mmcv', mmdet='onedl-mmdetection')
    for module, version in STACKS['maintained forks'].items():
        assert setup_env.pinned(dists[module]) == f'{dists[module]}=={version}'
        assert f'"{dists[module]}=={version}"' in metadata


def test_installing_the_package_alone_pulls_no_torch_and_no_mm(repo_root):
    text = (repo_root / 'pyproject.toml').read_text()
    block = re.search(r'^dependencies = \[(.*?)^\]', text, re.M | re.S).group(1)
    names = re.findall(r'"([a-zA-Z0-9_-]+)', block)
    assert 'numpy' in names
    assert not [name for name in names if 'torch' in name or 'mm' in name or 'opencv' in name]


def test_every_dependency_is_pinned(setup_env, repo_root):
    text = (repo_root / 'pyproject.toml').read_text()
    for block in re.findall(r'^(?:dependencies|dev) = \[(.*?)^\]', text, re.M | re.S):
        for name in re.findall(r'"([a-zA-Z0-9_-]+)', block):
            assert setup_env.pinned(name).startswith(f'{name}==')


@pytest.mark.parametrize('constraints', ['constraints.txt', 'constraints-official.txt'])
@pytest.mark.parametrize('python', ['3.10.0', '3.11.0', '3.12.0', '3.13.0'])
def test_every_pin_suits_the_pythons_that_it_is_for(repo_root, constraints, python):
    """By what the installed packages ask for; Debian 12 has Python 3.11.2, so the last digit counts."""
    unfit, known = [], 0
    version = dict(python_version=python.rpartition('.')[0], python_full_version=python)
    for line in (repo_root / constraints).read_text().splitlines():
        text = line.partition('#')[0].strip()
        requirement = Requirement(text) if text else None
        if not requirement or (requirement.marker and not requirement.marker.evaluate(version)):
            continue
        try:
            found = metadata.distribution(requirement.name)
        except metadata.PackageNotFoundError:
            continue
        if requirement.specifier.contains(found.version, prereleases=True):
            known += 1
            wanted = found.metadata['Requires-Python'] or ''
            if not SpecifierSet(wanted).contains(python):
                unfit.append(f'{text} wants Python {wanted}')
    assert known > 40 and unfit == []


def test_the_environments_own_help_lists_the_targets(repo_root):
    listed = subprocess.run(['make', '-s', 'help'], cwd=repo_root, capture_output=True, text=True, check=True).stdout
    assert all(f'make {target}' in listed for target in ('env', 'test', 'demo', 'lint'))
