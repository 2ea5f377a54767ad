"""The commands that draw figures find what a run left in its work directory."""

import json

import pytest
import torch

from sssd.cli import contact_sheet, curves
from sssd.errors import UserError, run_cli


@pytest.fixture
def work_dir(tmp_path):
    """The work directory of a run with two checkpoints."""
    root = tmp_path / 'run'
    log = root / '20260101_000000' / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps({'loss': 1.0, 'iter': 10, 'step': 10}) + '\n')
    (root / 'some_config.py').write_text('')
    for name in ('iter_10.pth', 'iter_9.pth', 'iter_20.pth', 'best_iter_9.pth'):
        torch.save(
            dict(meta=dict(iter=0, epoch=0), message_hub={}, state_dict=dict(weight=torch.zeros(1))), root / name
        )
    (root / 'iter_20.pth').write_bytes((root / 'iter_20.pth').read_bytes()[:500])
    (root / 'last_checkpoint').write_text('elsewhere/iter_10.pth')
    return root


def test_curves(work_dir, tmp_path, capsys):
    out = tmp_path / 'figure.png'
    assert run_cli(curves.main, [f'SED={work_dir},{work_dir}', '--out', str(out)]) == 0
    assert out.stat().st_size > 1000
    assert capsys.readouterr().out == f'{out}\n'


def test_model_of_a_work_directory(work_dir, capsys):
    assert contact_sheet.find_model(work_dir) == (work_dir / 'some_config.py', work_dir / 'iter_10.pth')
    assert 'iter_20.pth is damaged or cut off' in capsys.readouterr().out


def test_work_directory_without_a_checkpoint(work_dir):
    for path in work_dir.glob('iter_*'):
        path.unlink()
    with pytest.raises(UserError, match='was trained'):
        contact_sheet.find_model(work_dir)


@pytest.mark.parametrize('command', [curves, contact_sheet])
def test_word_of_another_form(command, capsys):
    assert run_cli(command.main, ['work_dirs/sed']) == 2
    assert 'NAME=WORK_DIR' in capsys.readouterr().err
