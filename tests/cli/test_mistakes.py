"""Mistakes in the arguments of training and testing: one sentence each, before anything is built."""

import re

import pytest

from sssd.cli import _dist, _runner, train
from sssd.cli import test as test_command
from sssd.errors import UserError
from sssd.locks import training_lock


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('LOCAL_RANK', raising=False)


def _train(job, *args):
    with pytest.raises(UserError) as caught:
        train.main([str(job.config), '--work-dir', str(job.work_dir), *args])
    text = str(caught.value)
    assert '\n' not in text
    return text


@pytest.mark.parametrize(
    'option, said',
    [
        ('foo', "got 'foo', which is not of the form key=value"),
        ('=3', "got '=3', which is not of the form key=value"),
        ('a=[1,2', 'a bracket is not closed'),
        ('a=dict(b=1,c="d")', 'write a dict as keys of its own'),
        ('vis_backends.7.type=x', 'Index 7 exceeds the length'),
        ('model.bbox_head.num_classes.x=1', 'num_classes'),
    ],
)
def test_options_that_do_not_fit(job, option, said):
    text = _train(job, '--cfg-options', option)
    assert '--cfg-options' in text and said in text


def test_options_that_nothing_reads(make_job):
    """A variable of the file has been put where it belongs when options come; a key of MMEngine's may be new."""
    job = make_job(extra='\nlength = train_cfg["max_iters"]\n')
    text = _train(job, '--cfg-options', 'length=9')
    assert "--cfg-options length: 'length' is a variable of" in text and 'train_cfg.max_iters' in text
    assert not job.work_dir.exists()


def test_a_part_to_predict_on_that_a_pair_has_not(job, trained):
    with pytest.raises(UserError, match="predict_on is 'Teacher'; use teacher"):
        test_command.main(
            [str(job.config), str(trained.checkpoint), '--cfg-options', 'model.semi_test_cfg.predict_on=Teacher']
        )


def test_a_config_that_is_not_there():
    with pytest.raises(UserError, match='config file nowhere.py does not exist'):
        train.main(['nowhere.py'])


@pytest.mark.parametrize(
    'text, said',
    [
        ('model = dict(', 'cannot be read'),
        ("_base_ = ['gone.py']", 'gone.py'),
        ('x = undefined_name', 'undefined_name'),
    ],
)
def test_a_config_that_cannot_be_read(tmp_path, text, said):
    config = tmp_path / 'broken.py'
    config.write_text(text)
    with pytest.raises(UserError, match='config file .*broken.py cannot be read') as caught:
        train.main([str(config)])
    assert said in str(caught.value)


def test_checkpointing_that_loses_gradients(job):
    assert 'sssd.RecomputeHook' in _train(job, '--cfg-options', 'activation_checkpointing=neck')


def test_scaling_the_learning_rate_without_its_batch_size(job, make_job):
    assert 'needs auto_scale_lr.base_batch_size' in _train(job, '--auto-scale-lr')
    half = make_job('half', extra='auto_scale_lr = dict(enable=False)\n')
    assert 'tiny.py does not set' in _train(half, '--auto-scale-lr')


def test_a_checkpoint_that_is_not_there(job):
    assert 'checkpoint gone.pth does not exist' in _train(job, '--resume', 'gone.pth')
    assert 'checkpoint away.pth does not exist' in _train(job, '--cfg-options', 'load_from=away.pth')
    with pytest.raises(UserError, match='checkpoint gone.pth does not exist'):
        test_command.main([str(job.config), 'gone.pth'])


def test_launchers_that_cannot_work_here(job, monkeypatch):
    monkeypatch.setattr(train.torch.cuda, 'is_available', lambda: False)
    monkeypatch.delenv('MASTER_ADDR', raising=False)
    said = _train(job, '--launcher', 'pytorch')
    assert 'tools/dist_train.sh' in said and '`torchrun --nproc-per-node N -m sssd train ...`' in said
    monkeypatch.delenv('SLURM_PROCID', raising=False)
    said = _train(job, '--launcher', 'slurm')
    assert 'tools/slurm_train.sh' in said and 'srun ... python -m sssd train' in said
    assert '--launcher mpi needs GPUs' in _train(job, '--launcher', 'mpi')


def test_torchrun_without_its_launcher(job, monkeypatch):
    monkeypatch.setenv('TORCHELASTIC_RUN_ID', 'none')
    monkeypatch.setenv('WORLD_SIZE', '2')
    assert 'add it to the arguments' in _train(job)


def test_a_work_directory_that_is_a_file(job):
    job.work_dir.write_text('')
    assert f'the work directory {job.work_dir} is a file' in _train(job)


def test_slurm_without_a_first_host(job, monkeypatch):
    monkeypatch.setattr(train.torch.cuda, 'is_available', lambda: False)
    for name, theirs in _dist.SLURM.items():
        monkeypatch.setenv(theirs, '0')
        monkeypatch.setenv(name, '0')  # set again by the command, and taken back after the test
    monkeypatch.setenv('SLURM_NODELIST', 'node[1-2]')
    monkeypatch.setenv('PATH', '')
    monkeypatch.delenv('MASTER_ADDR', raising=False)
    assert "SLURM_NODELIST='node[1-2]' with scontrol: set MASTER_ADDR" in _train(job, '--launcher', 'slurm')


def test_processes_that_go_on_from_different_checkpoints(job, monkeypatch):
    monkeypatch.setattr(_runner, 'all_gather_object', lambda name: [name, 'iter_4.pth'])
    text = _train(job, '--resume')
    assert 'different checkpoints to go on from (None, iter_4.pth)' in text and 'a disk that all nodes share' in text


def test_data_that_is_not_there(job):
    text = _train(job, '--cfg-options', 'train_dataloader.dataset.ann_file=gone.json')
    assert 'gone.json' in text


def test_an_output_that_is_no_pickle(job):
    with pytest.raises(UserError, match='--out results.json has to end in .pkl'):
        test_command.main([str(job.config), 'any.pth', '--out', 'results.json'])


@pytest.mark.parametrize(
    'out, said',
    [('file/found.pkl', 'Not a directory'), ('/proc/none/found.pkl', 'No such file'), ('folder.pkl', 'Is a directory')],
)
def test_an_output_that_cannot_be_written_is_told_before_the_test(job, trained, tmp_path, monkeypatch, out, said):
    (tmp_path / 'file').write_text('mine')
    (tmp_path / 'folder.pkl').mkdir()
    monkeypatch.setattr(test_command, 'evaluate', lambda *args: pytest.fail('the test has begun'))
    with pytest.raises(UserError, match=rf'^--out {out} cannot be written \({said}') as caught:
        test_command.main([str(job.config), str(trained.checkpoint), '--out', out])
    assert 'name another' in str(caught.value) and (tmp_path / 'file').read_text() == 'mine'


def test_the_folder_of_an_output_is_made_and_an_earlier_one_stays_until_the_end(job, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(test_command, 'evaluate', lambda *args: None)
    for _ in range(2):
        assert test_command.main([str(job.config), str(trained.checkpoint), '--out', 'new/deep/found.pkl']) == 0
        assert list((tmp_path / 'new/deep').iterdir()) == [] or (tmp_path / 'new/deep/found.pkl').read_bytes() == b'old'
        (tmp_path / 'new/deep/found.pkl').write_bytes(b'old')


@pytest.mark.parametrize('tta', [[], ['--tta']])
def test_a_config_without_test_data(make_job, trained, tta):
    for number, keys in enumerate((['test_evaluator'], ['test_dataloader', 'test_evaluator', 'test_cfg'])):
        job = make_job(f'without{number}', extra=''.join(f'{key} = None\n' for key in keys))
        with pytest.raises(UserError, match=f'tiny.py has no {" and no ".join(keys)}, so') as caught:
            test_command.main([str(job.config), str(trained.checkpoint), *tta])
        assert f'add {keys[0]} = val_' in str(caught.value) and '\n' not in str(caught.value)


def test_drawing_without_the_hook(job, trained):
    job.config.write_text(job.config.read_text().replace("visualization=dict(type='DetVisualizationHook')", ''))
    with pytest.raises(UserError, match='need the visualization hook, which .*tiny.py does not have'):
        test_command.main([str(job.config), str(trained.checkpoint), '--show-dir', 'shown'])


@pytest.mark.parametrize('workers', [0, 1])
@pytest.mark.parametrize('loader', ['LoadImageFromFile', 'sssd.LoadImage'])
def test_an_image_that_breaks_off_is_named_by_training(make_job, tiny_coco, loader, workers):
    """Its first bytes are those of an image, so that only decoding it finds it."""
    path = tiny_coco.img_dir / '0002.png'
    path.write_bytes(path.read_bytes()[:60])
    text = _train(
        make_job(),
        '--cfg-options',
        f'train_dataloader.num_workers={workers}',
        f'train_dataloader.dataset.pipeline.0.type={loader}',
    )
    assert text.startswith(f'image {path} cannot be decoded, the file is broken;') and text.endswith('.')


@pytest.mark.parametrize('workers', [0, 1])
def test_an_image_that_vanishes_is_named_by_training(job, tiny_coco, monkeypatch, workers):
    monkeypatch.setattr(_runner, 'check_data', lambda *args: [])
    path = tiny_coco.img_dir / '0002.png'
    path.unlink()
    text = _train(job, '--cfg-options', f'train_dataloader.num_workers={workers}')
    assert text.startswith(f'{path} does not exist, but the config {job.config} needs it')


@pytest.mark.parametrize('workers', [0, 1])
def test_an_empty_image_that_no_check_looked_at_is_told_by_training(job, tiny_coco, monkeypatch, workers):
    monkeypatch.setattr(_runner, 'check_data', lambda *args: [])
    (tiny_coco.img_dir / '0002.png').write_bytes(b'')
    assert 'find FOLDER -size 0' in _train(job, '--cfg-options', f'train_dataloader.num_workers={workers}')


@pytest.mark.parametrize('size', [0, 3000])
def test_a_checkpoint_that_breaks_off(job, trained, size):
    job.work_dir.mkdir()
    cut = job.work_dir / 'cut.pth'
    cut.write_bytes(trained.checkpoint.read_bytes()[:size])
    for option in (['--resume', str(cut)], ['--cfg-options', f'load_from={cut}']):
        assert re.match(f'checkpoint {cut} is (empty|damaged or cut off) ', _train(job, *option))
    with pytest.raises(UserError, match=f'checkpoint {cut} is (empty|damaged or cut off) '):
        test_command.main([str(job.config), str(cut)])


def test_a_backbone_s_file_of_which_nothing_fits(job, trained):
    """That of a whole detector, without the prefix."""
    start = ['model.backbone.init_cfg.type=Pretrained', f'model.backbone.init_cfg.checkpoint={trained.checkpoint}']
    assert "give init_cfg prefix='backbone.'" in _train(job, '--cfg-options', *start)


def test_a_rank_in_the_environment_does_not_let_a_training_into_another_s_folder(job, monkeypatch):
    """As jobs of a cluster have it: without a launcher each is a training by itself."""
    monkeypatch.setattr('sssd.locks.PATIENCE', 1.0)
    monkeypatch.setenv('RANK', '1')
    with training_lock(job.work_dir):
        assert 'two trainings in one folder' in _train(job)
