"""Processes of a training that the command starts: they have all that sssd registers."""

import pytest


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
