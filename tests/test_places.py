"""Configs by name: those of the present folder, then those that come with sssd."""

from pathlib import Path

import pytest
from mmengine.config import Config

from sssd import places
from sssd.calibration.override import override_text
from sssd.errors import UserError
from sssd.places import find_config, read_config
from sssd.studies.results import ResultsFile
from sssd.studies.runner import StudyRunner
from sssd.studies.spec import load_spec

NAMES = ('configs/quickstart/retinanet_sed.py', 'quickstart/retinanet_sed.py')


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """An empty present folder."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize('name', NAMES)
def test_a_config_that_is_not_here_comes_with_the_package(name, repo_root):
    found = find_config(name)
    assert Path(found).is_absolute()
    assert Path(found).resolve() == repo_root / 'configs/quickstart/retinanet_sed.py'
    assert read_config(name).model.type == 'sssd.SED'  # its own _base_ is read


@pytest.mark.parametrize('name', NAMES)
def test_a_file_of_the_present_folder_wins(name):
    Path(name).parent.mkdir(parents=True)
    Path(name).write_text('mine = 1\n')
    assert find_config(name) == name
    assert read_config(name).mine == 1


@pytest.mark.parametrize(
    'name',
    [
        'quickstart/none.py',
        'configs/none.py',
        'quickstart',
        'configs/../places.py',
        'configs/../../places.py',
        '../configs/quickstart/study.py',
    ],
)
def test_what_is_in_neither_place_is_told_with_both(name):
    with pytest.raises(
        UserError,
        match=f'^study {name} does not exist, neither in the present folder nor among '
        f'.*{places.BROUGHT}/configs.*: name another.$',
    ) as caught:
        find_config(name, 'study', 'name another')
    assert '\n' not in str(caught.value)


def test_an_absolute_path_is_looked_for_where_it_says(tmp_path):
    with pytest.raises(UserError, match=f'^config file {tmp_path}/configs/quickstart/study.py does not exist: check'):
        find_config(tmp_path / 'configs/quickstart/study.py')


@pytest.mark.parametrize('base', NAMES)
def test_a_base_may_come_with_the_package(base, tmp_path):
    Path('mine').mkdir()
    Path('mine/sed.py').write_text(f"_base_ = [{base!r}]\nwork_dir = 'out'\n")
    cfg = read_config('mine/sed.py')
    assert cfg.work_dir == 'out' and cfg.model == read_config(base).model
    Path('mine', base).parent.mkdir(parents=True)
    Path('mine', base).write_text('model = dict(type="Mine")\n')
    assert read_config('mine/sed.py').model.type == 'Mine'


def test_mmengine_is_as_before_after_a_config_was_read():
    before = Config._get_cfg_path
    Path('broken.py').write_text("_base_ = ['gone.py']\n")
    with pytest.raises(FileNotFoundError, match='gone.py'):
        read_config('broken.py')
    assert Config._get_cfg_path is before


def test_a_study_and_the_configs_that_it_names_come_with_the_package(tmp_path):
    spec = load_spec('quickstart/guided_study.py', quick=True)
    jobs = StudyRunner(spec, ResultsFile('results.json'), tmp_path / 'work').all_jobs([0])
    assert [job.run.name for job in jobs] == ['baseline', 'lgd', 'sssd', 'sssd_stepwise']
    assert all(job.extent.length == 2 for job in jobs)
    # What is written down names no place of this machine.
    assert all(job.arguments()[0].startswith('configs/quickstart/') for job in jobs)


def test_a_calibrated_config_inherits_from_one_that_comes_with_the_package(tmp_path):
    base = find_config('quickstart/retinanet_sssd.py')
    out = tmp_path / 'calibrated.py'
    out.write_text(override_text(read_config(base), dict(lambda_=12.0), base, out))
    cfg = read_config('calibrated.py')
    assert cfg.model == read_config(base).model
    assert [hook.lambda_ for hook in cfg.custom_hooks if 'lambda_' in hook] != [
        hook.lambda_ for hook in read_config(base).custom_hooks if 'lambda_' in hook
    ]


def test_a_base_may_lie_in_the_present_folder(monkeypatch):
    """SED_BASE puts a row of ablations over a config of one's own, named from where one is."""
    Path('mine').mkdir()
    Path('mine/sed.py').write_text("_base_ = 'ablations/toy_sed.py'\nmark = 7\n")
    monkeypatch.setenv('SED_BASE', 'mine/sed.py')
    cfg = read_config('configs/ablations/scr.py')
    assert cfg.mark == 7 and cfg.custom_hooks[0].lambda_d == 0
    Path('other.py').write_text('mark = 8\n')
    Path('mine/base.py').write_text("_base_ = 'other.py'\n")
    with pytest.raises(FileNotFoundError):  # beside the config, and nowhere else
        read_config('mine/base.py')
