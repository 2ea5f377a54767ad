"""Real trainings, several at once: to the bit what they are one after the other."""

from pathlib import Path

import pytest
import torch

from sssd.cli import study as command
from sssd.errors import run_cli
from sssd.studies import runner
from sssd.studies.results import ResultsFile

SPEC = """
name = 'tiny'
seeds = [0, 1]
start = dict(config={config!r})
runs = dict(
    few=dict(config={config!r}),
    slow=dict(config={config!r}, cfg_options={{'optim_wrapper.optimizer.lr': 0.0001}}),
)
"""
VALIDATED = """
val_dataloader, val_evaluator, val_cfg = test_dataloader, test_evaluator, dict(type='ValLoop')
train_cfg = dict(train_cfg, val_interval=2)
"""


@pytest.mark.slow
def test_weights_and_results_are_those_of_a_study_one_after_the_other(
    make_job, tmp_path, monkeypatch, forked_python, capsys
):
    job = make_job(extra=VALIDATED)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    Path('spec.py').write_text(SPEC.format(config=str(job.config)))
    defaults = dict(runner.StudyRunner.__init__.__kwdefaults__, train_command=[forked_python, '-m', 'sssd', 'train'])
    monkeypatch.setattr(runner.StudyRunner.__init__, '__kwdefaults__', defaults)
    words = ['spec.py', '--sweep', 'few:optim_wrapper.optimizer.lr=0.001,0.002']
    assert run_cli(command.main, [*words, '--work-dir', 'one']) == 0, capsys.readouterr().err
    assert run_cli(command.main, [*words, '--work-dir', 'both', '--jobs', '3']) == 0, capsys.readouterr().err
    found = [ResultsFile(f'{name}/results.json').entries() for name in ('one', 'both')]
    for before, after in zip(*found, strict=True):
        assert all(before[key] == after[key] for key in ('run', 'seed', 'hash', 'config', 'metrics', 'history'))
    assert [entry['run'] for entry in found[0]] == ['start', 'few@lr=0.001', 'few@lr=0.002', 'slow'] * 2
    paths = sorted(path.relative_to('one') for path in Path('one').rglob('iter_2.pth'))
    assert len(paths) == 8
    for path in paths:
        before, after = (torch.load(name / path, weights_only=False) for name in (Path('one'), Path('both')))
        assert all(torch.equal(before['state_dict'][key], after['state_dict'][key]) for key in before['state_dict'])
    few, fast = (torch.load(f'both/seed0/few@lr=0.00{n}/iter_2.pth', weights_only=False) for n in (1, 2))
    assert any(not torch.equal(few['state_dict'][key], fast['state_dict'][key]) for key in few['state_dict'])
