"""A checkpoint that runs code, given to every command in every way: one sentence each, before anything of it ran."""

import evil
import pytest
import torch
from mmengine.runner import Runner

from sssd.cli import analyze, calibrate, contact_sheet, extract, train, views
from sssd.cli import test as test_command
from sssd.errors import run_cli

#: The guided tiny config with the label function of LabelEnc's second step, its file to be named.
FROZEN = """
model = dict(
    model, guide=dict(type='LabelEnc', frozen=True, init_cfg=dict(
        type='Pretrained', checkpoint='{file}', prefix='guidance.guide.')))
"""


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '0')


@pytest.fixture
def marker(tmp_path):
    """The file that a harmful one makes."""
    return tmp_path / 'marker'


@pytest.fixture
def file(tmp_path, marker):
    """A harmful file."""
    return evil.write_evil(tmp_path / 'iter_9.pth', marker)


@pytest.fixture
def refused(capsys, monkeypatch, marker):
    """A function that runs a command, which has to end with one sentence about a file; the sentence."""
    monkeypatch.setattr(Runner, 'save_checkpoint', lambda *args, **kwargs: pytest.fail('it trained'))

    def run(main, *words, said='asks for io.open, but a checkpoint is tensors, numbers and logs'):
        assert run_cli(main, [str(word) for word in words]) == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith('sssd: error: ')]
        assert len(lines) == 1 and said in lines[0] and 'iter_9.pth' in lines[0]
        assert not marker.exists()
        return lines[0]

    return run


SAID = dict(
    zip='asks for io.open',
    legacy='asks for io.open',
    tar="is in PyTorch's old tar format",
    getattr="asks for '__init__' of <class",
)


@pytest.mark.parametrize('kind', evil.KINDS)
def test_train_resume(job, tmp_path, marker, refused, kind):
    file = evil.write_evil(tmp_path / 'iter_9.pth', marker, kind)
    assert '--trust-checkpoint' in refused(
        train.main, job.config, '--work-dir', 'work', '--resume', file, said=SAID[kind]
    )


@pytest.mark.parametrize('kind', ['zip', 'getattr'])
def test_files_that_one_trusts_do_run(job, tmp_path, marker, kind):
    """So those of the other tests are harmful, and the option is what it says."""
    file = evil.write_evil(tmp_path / 'iter_9.pth', marker, kind)
    words = [job.config, '--work-dir', 'work', '--resume', file, '--trust-checkpoint']
    with pytest.raises(Exception, match=r'.'):
        train.main([str(word) for word in words])
    assert marker.exists()


@pytest.mark.parametrize('place', ['elsewhere', 'work'])
def test_a_planted_last_checkpoint(job, tmp_path, file, refused, place):
    (tmp_path / 'work').mkdir()
    file = file.rename(tmp_path / 'work' / file.name) if place == 'work' else file
    (tmp_path / 'work' / 'last_checkpoint').write_text(str(file))
    said = refused(train.main, job.config, '--work-dir', 'work', '--resume')
    assert 'no checkpoint in work can be read' in said
    refused(train.main, job.config, '--work-dir', 'work', '--cfg-options', 'resume=True')


def test_load_from(job, file, refused):
    refused(train.main, job.config, '--work-dir', 'work', '--cfg-options', f'load_from={file}')


@pytest.mark.parametrize('prefix', [(), ('model.backbone.init_cfg.prefix=backbone.',)])
def test_weights_to_begin_with(job, file, refused, prefix):
    options = ['model.backbone.init_cfg.type=Pretrained', f'model.backbone.init_cfg.checkpoint={file}', *prefix]
    refused(train.main, job.config, '--work-dir', 'work', '--cfg-options', *options)


def test_the_file_of_a_guide(make_guided, file, refused):
    job = make_guided(extra=FROZEN.format(file=file))
    assert 'LabelEnc: checkpoint' in refused(train.main, job.config, '--work-dir', 'work')


@pytest.mark.parametrize('options', [(), ('--tta',)])
def test_test(job, file, refused, options):
    refused(test_command.main, job.config, file, '--work-dir', 'work', *options)


def test_extract(file, refused):
    refused(extract.main, file, 'out.pth')


def test_views(job, file, refused):
    refused(views.main, job.config, file)


def test_calibrate(make_guided, file, refused):
    job = make_guided()
    refused(calibrate.main, job.config, '--iterations', '2', '--cfg-options', f'load_from={file}')


@pytest.mark.parametrize('what', ['score-distance', 'pseudo-labels', 'gradients'])
def test_analyze(job, file, refused, what):
    refused(analyze.main, what, job.config, file)


def test_contact_sheet(job, tmp_path, file, refused):
    work_dir = tmp_path / 'work'
    work_dir.mkdir()
    job.config.rename(work_dir / job.config.name)
    file.rename(work_dir / file.name)
    refused(contact_sheet.main, f'ours={work_dir}')


def test_a_config_in_a_checkpoint_is_not_run(job, trained, tmp_path, marker):
    """All its types are allowed, but MMEngine would run a text in it."""
    checkpoint = torch.load(trained.checkpoint, weights_only=False)
    checkpoint['meta']['config'] = f'open({str(marker)!r}, "w")'
    torch.save(checkpoint, tmp_path / 'iter_2.pth')
    words = [job.config, '--work-dir', 'work', '--resume', tmp_path / 'iter_2.pth']
    assert train.main([str(word) for word in words]) == 0
    assert not marker.exists()
