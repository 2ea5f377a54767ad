"""The demo from end to end, with real training of a few iterations."""

import json
import os
import shutil
import subprocess

import pytest
from matplotlib.image import imread

from sssd.cli import demo
from sssd.errors import UserError, run_cli
from sssd.locks import training_lock
from sssd.studies.results import ResultsFile
from sssd.studies.runner import StudyRunner
from sssd.studies.spec import load_spec


def entry(run, ap):
    return {'run': run, 'seed': 0, 'seconds': 1.0, 'metrics': {'teacher': {'iter': 500, 'AP': ap}}}


def test_a_folder_in_use_is_not_removed(tmp_path):
    with (
        training_lock(tmp_path / 'seed0/few'),
        pytest.raises(UserError, match='uses .*seed0/few, so it is not removed'),
    ):
        demo.remove_runs(tmp_path)
    assert (tmp_path / 'seed0/few').is_dir()
    demo.remove_runs(tmp_path)
    assert not (tmp_path / 'seed0').exists()


def test_outside_a_checkout_the_study_that_comes_with_the_package_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = []
    monkeypatch.setattr(demo, 'run', lambda runner, *_: asked.append(runner.spec) or 3)
    assert run_cli(demo.main, ['--quick']) == 3
    assert [spec.name for spec in asked] == ['sizes_toy_quick']
    assert asked[0].data['root'] == 'data/toy_small'


def test_fresh_removes_only_what_the_demo_made(tmp_path):
    for name in ('seed0/few/iter_1.pth', 'results.json', 'curves.png', 'notes.txt'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    demo.remove_runs(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['notes.txt']


@pytest.mark.parametrize('seconds, redraws', [(1.0, False), (2.0, True)])
def test_figures_are_drawn_anew_when_a_result_was_replaced(tmp_path, monkeypatch, repo_root, seconds, redraws):
    monkeypatch.chdir(repo_root)
    results = ResultsFile(tmp_path / 'results.json')
    results.put(entry('few', 15.0))

    def replace(*_):
        results.put({**entry('few', 15.0), 'seconds': seconds})
        return 0

    asked = []
    monkeypatch.setattr(demo, 'run', replace)
    monkeypatch.setattr(demo, 'draw', lambda runner, redraw: asked.append(redraw) or [])
    assert demo.main(['--quick', '--work-dir', str(tmp_path)]) == 0
    assert asked == [redraws]


@pytest.fixture
def study(tmp_path, monkeypatch, repo_root):
    monkeypatch.chdir(repo_root)
    return StudyRunner(load_spec(demo.SPEC), ResultsFile(tmp_path / 'results.json'), tmp_path)


def test_the_gain_is_told_as_a_share_of_what_all_labels_are_worth(study, tmp_path):
    kept = tmp_path / 'kept.json'
    for run, ap in (('few', 15.0), ('sed', 21.0)):
        study.results.put(entry(run, ap))
    assert demo.headroom_line(study, 0, kept) is None
    whole = {**entry('all', 27.0), 'hash': study.all_jobs([0], ['all'])[-1].hash}
    ResultsFile(kept).put(whole)
    line = demo.headroom_line(study, 0, kept)
    assert '27.0 AP' in line and '12.0 more' in line and '50% of that (+6.0 AP)' in line and str(kept) in line
    assert demo.headroom_line(study, 1, kept) is None
    ResultsFile(kept).put({**whole, 'hash': 'of another config'})
    assert demo.headroom_line(study, 0, kept) is None


def test_the_kept_results_are_those_of_the_demo_s_study(study):
    kept = ResultsFile(demo.KEPT)
    for job in study.all_jobs([0], ['few', 'sed', 'all']):
        assert kept.find(job.run.name, 0)['hash'] == job.hash, job.title


@pytest.mark.slow
def test_quick_demo_and_its_second_call(repo_root, tmp_path, forked_python):
    shutil.copytree(repo_root / 'configs', tmp_path / 'configs')
    spec = tmp_path / 'configs' / 'sizes' / 'toy_study.py'
    with spec.open('a') as handle:
        handle.write(
            "data = dict(type='toy', root='data/toy_small', num_train=24, num_val=8, "
            'num_labeled=4, labeled_below=0.6)\n'
        )
    command = [forked_python, '-m', 'sssd', 'demo', '--quick', '--work-dir', 'here']
    path = os.pathsep.join(filter(None, [str(repo_root), os.environ.get('PYTHONPATH')]))
    settings = dict(cwd=tmp_path, capture_output=True, text=True, env=dict(os.environ, PYTHONPATH=path))
    done = subprocess.run(command, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'supervised' in done.stdout and 'here/contact_sheet.png' in done.stdout
    entries = {entry['run']: entry for entry in json.loads((tmp_path / 'here/results.json').read_text())['runs']}
    assert list(entries) == ['start', 'few', 'sed']
    for entry in entries.values():
        assert entry['metrics']['teacher']['iter'] == 2
        assert 0 <= entry['metrics']['student']['AP'] <= 100
    assert 'load_from=here/seed0/start/iter_2.pth' in entries['sed']['command']
    figures = [tmp_path / 'here' / name for name in ('curves.png', 'contact_sheet.png')]
    assert all(imread(figure).std() > 0 for figure in figures)

    made = [figure.stat().st_mtime_ns for figure in figures]
    again = subprocess.run(command, **settings)
    assert again.returncode == 0 and 'Nothing to run' in again.stdout
    assert [figure.stat().st_mtime_ns for figure in figures] == made
