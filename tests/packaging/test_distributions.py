"""What is in a wheel and in a source distribution, and that both are the same package."""

import stat
import tarfile
import zipfile

import pytest


def _names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def _files(folder, pattern, without=()):
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob(pattern)
        if path.is_file() and '__pycache__' not in path.parts and path.name not in without
    }


def test_a_wheel_has_the_modules_the_configs_and_the_tools_of_the_checkout(built, repo_root):
    names = _names(built.wheel)
    expected = {f'sssd/{name}' for name in _files(repo_root / 'sssd', '*.py') if not name.startswith('.mim')}
    expected |= {f'sssd/.mim/configs/{name}' for name in _files(repo_root / 'configs', '*.py')}
    expected |= {f'sssd/.mim/tools/{name}' for name in _files(repo_root / 'tools', '*', without=['setup_env.py'])}
    expected |= {'sssd/.mim/model-index.yml'}
    packaged = {name for name in names if '.dist-info/' not in name}
    assert packaged == expected and len(expected) > 150


def test_a_wheel_of_the_source_distribution_is_the_same(built):
    assert _names(built.wheel_of_sdist) == _names(built.wheel)


def test_a_source_distribution_has_plain_files_and_what_tells_of_them(built):
    with tarfile.open(built.sdist) as archive:
        members = {member.name.split('/', 1)[-1]: member for member in archive.getmembers()}
    told = {'pyproject.toml', 'README.md', 'LICENSE', 'CHANGELOG.md', 'constraints.txt', 'constraints-official.txt'}
    assert told <= set(members)
    assert not [name for name, member in members.items() if member.issym() or member.islnk()]
    assert not [name for name in members if name.startswith(('tests', 'data', 'work_dirs', 'build'))]


@pytest.mark.parametrize('name', ['dist_train.sh', 'dist_test.sh', 'train.py'])
def test_tools_stay_executable(built, name):
    with zipfile.ZipFile(built.wheel) as archive:
        mode = archive.getinfo(f'sssd/.mim/tools/{name}').external_attr >> 16
    assert mode & stat.S_IXUSR
