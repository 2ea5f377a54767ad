"""A study of stub runs in an empty directory."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from sssd.studies.results import ResultsFile
from sssd.studies.runner import StudyRunner
from sssd.studies.spec import load_spec
from sssd.studies.watch import Reporter

STUB = Path(__file__).with_name('stub_train.py')
CONFIG = """
train_cfg = dict(max_iters=3)
stub = dict(bonus=0, fail_at=0, evaluates=True)
randomness = dict(seed=99)
load_from = None
"""
SPEC = """
name = 'stub'
seeds = [0, 1]
start = dict(config='config.py')
runs = dict(
    few=dict(config='config.py'),
    sed=dict(config='config.py', cfg_options={'stub.bonus': 5}),
    all=dict(config='config.py', cfg_options={'stub.bonus': 12}, from_start=False))
quick = {'train_cfg.max_iters': 1}
"""


class StubStudy:
    """Runs a study of stub runs in the current directory."""

    def __init__(self, python):
        self.python = python
        self.output = io.StringIO()

    def load(self, **kwargs):
        """The study's specification."""
        return load_spec('spec.py', **kwargs)

    def runner(self, spec=None, **kwargs):
        """A runner of the study that prints into ``output``."""
        spec = spec or self.load()
        console = Console(file=self.output, width=200)
        return StudyRunner(
            spec,
            ResultsFile('results.json', spec.name),
            Path('work'),
            train_command=[self.python, str(STUB)],
            reporter=Reporter(console),
            **kwargs,
        )

    def starts(self, run, seed=0):
        """What each start of a run was told, oldest first."""
        return Path(f'work/seed{seed}/{run}/arguments.txt').read_text().splitlines()


@pytest.fixture
def study(tmp_path, monkeypatch, forked_python):
    """A study of stub runs in an empty current directory."""
    monkeypatch.chdir(tmp_path)
    Path('config.py').write_text(CONFIG)
    Path('spec.py').write_text(SPEC)
    return StubStudy(forked_python)
