"""An image that breaks in mid-training: saved and named, or replaced and counted."""

import pytest
import torch

from sssd.cli import train
from sssd.errors import LocalError

EXTRA = """
train_cfg = dict(type='IterBasedTrainLoop', max_iters=4)
val_cfg = val_dataloader = val_evaluator = None
experiment_name = __import__('uuid').uuid4().hex  # runs of one second would share a logger
default_hooks['checkpoint'] = dict(type='CheckpointHook', by_epoch=False, interval=100)
train_dataloader.update(batch_size=1, num_workers={workers}, sampler=dict(type='InfiniteSampler', shuffle=False))
"""


def broken_job(make_job, tiny_coco, workers=0, broken=(2,)):
    """A training that meets the images in order, some of them broken off after their header."""
    job = make_job('broken', extra=EXTRA.replace('{workers}', str(workers)))
    paths = [tiny_coco.img_dir / f'{number:04d}.png' for number in broken]
    for path in paths:
        path.write_bytes(path.read_bytes()[:60])
    return job, paths


def run(job, *words):
    return train.main([str(job.config), '--work-dir', str(job.work_dir), *words])


@pytest.mark.parametrize('workers', [0, 1])
def test_a_training_is_saved_before_it_stops_at_a_broken_image(make_job, tiny_coco, workers):
    job, (path,) = broken_job(make_job, tiny_coco, workers)
    with pytest.raises(LocalError) as told:
        run(job)
    assert f'image {path} cannot be decoded' in str(told.value)
    assert 'the state after iteration 2 is in iter_2.pth' in str(told.value) and '--replace-broken' in str(told.value)
    assert torch.load(job.work_dir / 'iter_2.pth', weights_only=False)['meta']['iter'] == 2
    assert run(job, '--resume', '--replace-broken', '1') == 0
    assert (job.work_dir / 'iter_4.pth').is_file()


def test_broken_images_are_replaced_and_named(make_job, tiny_coco):
    job, (path,) = broken_job(make_job, tiny_coco)
    assert run(job, '--replace-broken', '1') == 0
    log = next(job.work_dir.glob('*/*.log')).read_text()
    assert (
        f'image {path} cannot be decoded, the file is broken: another one is drawn in its place (1 of at most 1' in log
    )


def test_more_broken_images_than_allowed_stop_the_training(make_job, tiny_coco):
    job, paths = broken_job(make_job, tiny_coco, broken=(1, 2, 3))
    with pytest.raises(LocalError, match=r'\(2 others were replaced before\)'):
        run(job, '--replace-broken', '2')
