"""The package as its users get it: built from a copy of the checkout, installed into an empty folder."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCES = (
    'sssd',
    'configs',
    'tools',
    'pyproject.toml',
    'MANIFEST.in',
    'README.md',
    'LICENSE',
    'CHANGELOG.md',
    'constraints.txt',
    'constraints-official.txt',
)
#: What makes studies be over in seconds: that of the ablations, and over it that of the demo.
SMALL = {
    'quickstart/study.py': '\ndata.update(num_train=8, num_val=4, num_labeled=4)\n'
    "quick.update({'val_dataloader.dataset.indices': 2, 'train_dataloader.num_workers': 0,\n"
    "              'train_dataloader.persistent_workers': False,\n"
    "              'val_dataloader.num_workers': 0,\n"
    "              'val_dataloader.persistent_workers': False})\n",
    'sizes/toy_study.py': '\ndata.update(num_labeled=4, labeled_below=0.74)\n',
}
#: Every process writes at its end which files of sssd it had imported.
WATCH = """
import atexit, json, os, sys

def _tell():
    seen = {name: module.__file__ for name, module in list(sys.modules.items())
            if name.split('.')[0] == 'sssd' and getattr(module, '__file__', None)}
    with open(os.path.join(os.environ['SEEN'], f'{os.getpid()}.json'), 'w') as file:
        json.dump(dict(seen=seen, argv=sys.argv), file)

atexit.register(_tell)
"""


def quiet(*command, cwd, env=None, status=0):
    """Run a command that has to end with ``status``; returns what it printed, its errors where it is to fail."""
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=env, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == status, f'{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}'
    return done.stderr if status else done.stdout


@dataclass(frozen=True)
class Built:
    """A wheel of the checkout, its source distribution, and the wheel made from that."""

    wheel: Path
    sdist: Path
    wheel_of_sdist: Path


def _pip_wheel(source, out):
    quiet(
        sys.executable,
        '-m',
        'pip',
        'wheel',
        '-q',
        '--no-deps',
        '--no-index',
        '--no-build-isolation',
        '-w',
        out,
        source,
        cwd=out,
    )
    return next(out.glob('*.whl'))


@pytest.fixture(scope='session')
def built(repo_root, tmp_path_factory):
    """What ``pip`` makes of the checkout with the setuptools of this environment; see :class:`Built`."""
    root = tmp_path_factory.mktemp('built')
    copy, tree, sdist, again = (root / name for name in ('copy', 'wheel', 'sdist', 'wheel_of_sdist'))
    for folder in (copy, tree, sdist, again):
        folder.mkdir()
    for name in SOURCES:
        if (repo_root / name).is_dir():
            shutil.copytree(repo_root / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copy(repo_root / name, copy / name)
    quiet(
        sys.executable,
        '-c',
        'import sys; from setuptools import build_meta as b; b.build_sdist(sys.argv[1])',
        sdist,
        cwd=copy,
    )
    archive = next(sdist.glob('*.tar.gz'))
    return Built(_pip_wheel(copy, tree), archive, _pip_wheel(archive, again))


@dataclass(frozen=True)
class Installed:
    """The wheel in a folder of its own, and another folder from where it is used.

    Attributes:
        target: Where ``pip install --target`` put the package.
        folder: The present folder of the commands; it has nothing to do with a checkout.
        seen: Where every process writes which files of sssd it imported.
    """

    target: Path
    folder: Path
    seen: Path

    def run(self, *words, launcher=('-m', 'sssd'), status=0):
        """Run ``python -m sssd`` with some words from the folder; see :func:`quiet`."""
        paths = (self.target, self.seen)
        env = dict(
            os.environ,
            PYTHONPATH=os.pathsep.join(map(str, paths)),
            SEEN=str(self.seen),
            OMP_NUM_THREADS='1',
            CUDA_VISIBLE_DEVICES='-1',
        )
        return quiet(sys.executable, *launcher, *words, cwd=self.folder, env=env, status=status)


@pytest.fixture(scope='session')
def installed(built, tmp_path_factory):
    """The built wheel, installed without its dependencies; its demo is made small."""
    root = tmp_path_factory.mktemp('installed')
    found = Installed(root / 'target', root / 'elsewhere', root / 'seen')
    found.folder.mkdir()
    found.seen.mkdir()
    (found.seen / 'sitecustomize.py').write_text(WATCH)
    quiet(
        sys.executable,
        '-m',
        'pip',
        'install',
        '-q',
        '--no-deps',
        '--no-index',
        '--target',
        found.target,
        built.wheel,
        cwd=root,
    )
    for name, lines in SMALL.items():
        with (found.target / 'sssd/.mim/configs' / name).open('a') as study:
            study.write(lines)
    return found
