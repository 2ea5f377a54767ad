"""Processes of a training that the command starts: they have all that sssd registers."""

import shutil

import pytest
import torch

from sssd.cli import train
from sssd.errors import UserError


@pytest.mark.slow
def test_workers_that_are_spawned_build_what_sssd_has(run_python, job):
    """A spawned worker is a new process, whose own import of sssd is no start of the command."""
    done = run_python(
        '-m',
        'sssd',
        'train',
        job.config,
        '--work-dir',
        job.work_dir,
        '--cfg-options',
        'env_cfg.mp_cfg.mp_start_method=spawn',
        'train_dataloader.num_workers=1',
        'train_dataloader.persistent_workers=True',
        'train_dataloader.dataset.pipeline.0.type=sssd.LoadImage',
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert job.checkpoint.is_file()


def test_a_second_training_in_a_folder_loses_nothing_of_the_first(job, capsys):
    """It was interrupted later than the second one is, whose ``--resume`` takes the second's state."""
    words = [str(job.config), '--work-dir', str(job.work_dir)]
    assert train.main(words) == 0
    first = job.checkpoint.read_bytes()
    assert train.main([*words, '--cfg-options', 'train_cfg.max_iters=1', 'randomness.seed=3']) == 0
    assert 'had a run up to iter_2.pth, which is now in' in capsys.readouterr().out
    assert (job.work_dir / 'old1/iter_2.pth').read_bytes() == first
    assert [path.name for path in job.work_dir.glob('iter_*.pth')] == ['iter_1.pth']
    assert train.main([*words, '--resume', '--cfg-options', 'randomness.seed=3']) == 0
    assert 'resumed from' in capsys.readouterr().out and not (job.work_dir / 'old2').exists()
    assert job.checkpoint.read_bytes() != first


def test_going_on_from_another_folder_loses_nothing_of_this_one(job, trained, capsys):
    """What is there is of another training, whose later checkpoints would be written over, or taken for the newest."""
    words = [str(job.config), '--work-dir', str(job.work_dir)]
    longer = ['--cfg-options', 'train_cfg.max_iters=3', 'default_hooks.checkpoint.interval=1']
    assert train.main([*words, *longer, 'randomness.seed=3']) == 0
    before = {path.name: path.read_bytes() for path in job.work_dir.glob('iter_*.pth')}
    assert sorted(before) == ['iter_1.pth', 'iter_2.pth', 'iter_3.pth']
    assert train.main([*words, *longer, '--resume', str(trained.checkpoint)]) == 0
    said = capsys.readouterr().out
    assert f'iter_3.pth, which is now in {job.work_dir}/old1: this one goes on from {trained.checkpoint}.' in said
    assert {path.name: path.read_bytes() for path in (job.work_dir / 'old1').glob('iter_*.pth')} == before
    assert [path.name for path in job.work_dir.glob('iter_*.pth')] == ['iter_3.pth']
    further, named = ['--cfg-options', 'train_cfg.max_iters=4'], job.work_dir / '..' / job.work_dir.name
    assert train.main([*words, '--resume', *further]) == 0  # the newest
    newest = [path.name for path in job.work_dir.glob('iter_4.pth')]
    assert train.main([*words, '--resume', str(named / 'iter_4.pth'), *further[:1], 'train_cfg.max_iters=5']) == 0
    assert newest and not (job.work_dir / 'old2').exists()
    assert train.main([*words, '--resume', str(named / 'iter_3.pth'), *further]) == 0  # back
    assert 'goes back to iter_3.pth' in capsys.readouterr().out
    assert 'iter_4.pth' in [path.name for path in (job.work_dir / 'old2').iterdir()]
    assert (job.work_dir / 'old1/iter_3.pth').read_bytes() == before['iter_3.pth']


def test_weights_of_the_same_folder_are_not_moved_away_before_they_are_read(job, trained, capsys):
    """Be they the start, or those of the backbone alone, and of whatever name."""
    job.work_dir.mkdir()
    best = shutil.copy(trained.checkpoint, job.work_dir / 'best_coco_bbox_mAP_iter_2.pth')
    backbone = 'model.backbone.init_cfg.'
    for start in (
        [f'load_from={best}'],
        [f'{backbone}type=Pretrained', f'{backbone}checkpoint={best}', f'{backbone}prefix=backbone.'],
    ):
        assert train.main([str(job.config), '--work-dir', str(job.work_dir), '--cfg-options', *start]) == 0
        assert f'and {best} of it is read here' in capsys.readouterr().out
        assert not (job.work_dir / 'old1').exists()


def test_going_on_with_another_optimizer(job, logs_of):
    """Of another kind it is refused before its first step; another value is told, and the old one stays."""
    words = [str(job.config), '--work-dir', str(job.work_dir)]
    assert train.main(words) == 0
    longer = [*words, '--resume', '--cfg-options', 'train_cfg.max_iters=3']
    with pytest.raises(UserError, match='optim_wrapper.optimizer, AdamW, is not the kind') as caught:
        train.main([*longer, 'optim_wrapper.optimizer.type=AdamW'])
    assert '\n' not in str(caught.value)
    assert train.main([*longer, 'optim_wrapper.optimizer.weight_decay=0.5']) == 0
    told = 'The optimizer in the config is not that of the checkpoint (weight_decay: 0 -> 0.5): the old values stay'
    assert logs_of(job.work_dir).count(told) == 1
    state = torch.load(job.work_dir / 'iter_3.pth', map_location='cpu', weights_only=False)
    assert state['optimizer']['param_groups'][0]['weight_decay'] == 0
    assert train.main([*longer[:-1], 'train_cfg.max_iters=4']) == 0
    assert logs_of(job.work_dir).count('The optimizer in the config') == 1
