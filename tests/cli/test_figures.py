"""The commands that draw figures find what a run left in its work directory."""

import json

import pytest
import torch

from sssd.cli import compare, contact_sheet, curves, report
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
            dict(meta=dict(iter=0, epoch=0), message_hub={}, optimizer={}, state_dict=dict(weight=torch.zeros(1))),
            root / name,
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
@pytest.mark.parametrize(
    'words, said',
    [
        (['A={}', 'A={}'], "two runs are called 'A'"),
        (['A={}', '--out', 'x.zzz'], '--out x.zzz is no name of a picture'),
        (['A={}', '--out', '.'], '--out . is no name of a picture'),
        (['A={}', '--out', '{}/some_config.py/x.png'], 'some_config.py is no folder'),
    ],
)
def test_what_cannot_be_drawn_is_told(command, words, said, work_dir, capsys):
    assert run_cli(command.main, [word.format(work_dir) for word in words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize('words', [['--num-images', '0'], ['--seed', '-1'], ['--device', 'cuda']])
def test_numbers_and_devices_that_a_sheet_cannot_have(words, work_dir, capsys):
    assert run_cli(contact_sheet.main, [f'A={work_dir}', *words]) == 2
    assert capsys.readouterr().err.startswith(f'sssd: error: {words[0]} ')


@pytest.mark.parametrize('command', [compare, report])
def test_a_page_inside_of_a_file(command, work_dir, capsys):
    words = [str(work_dir)] if command is report else [f'A={work_dir}', f'B={work_dir}']
    assert run_cli(command.main, [*words, '--out', str(work_dir / 'some_config.py/page.html')]) == 2
    assert 'some_config.py is no folder' in capsys.readouterr().err


@pytest.mark.parametrize('command', [curves, contact_sheet])
def test_word_of_another_form(command, capsys):
    assert run_cli(command.main, ['work_dirs/sed']) == 2
    assert 'NAME=WORK_DIR' in capsys.readouterr().err
