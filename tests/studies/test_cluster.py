"""Runs as jobs of a cluster: submitit's own executor, and Slurm's commands stood in for."""

import os
import sys
from pathlib import Path

import pytest
from study_runs import ends, entries, interrupt_when

from sssd.errors import UserError
from sssd.studies.cluster import Command, cluster_slots
from sssd.studies.runner import RunsFailed

#: Stand-ins: sbatch runs the batch file in a session of its own and notes its pid; sacct knows it by that.
SLURM = {
    'sbatch': """#!/bin/bash
cat "$1" > batch; cp batch {folder}/$RANDOM.sbatch
exec 8>&-
SLURM_JOB_ID=$$ SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0 SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 \\
    setsid bash batch > /dev/null 2>&1 < /dev/null &
echo $! > {folder}/$$.pid
echo "Submitted batch job $$"
""",
    'srun': """#!/bin/bash
while [[ $1 == --* || $1 == -* ]]; do
    case $1 in --output|--error) shift 2;; *) shift;; esac
done
exec "$@"
""",
    'sacct': """#!/bin/bash
echo "JobID|State|NodeList"
for file in {folder}/*.pid; do
    id=$(basename $file .pid)
    if kill -0 $(cat $file) 2> /dev/null; then echo "$id|RUNNING|here"; else echo "$id|COMPLETED|here"; fi
done
""",
    'scancel': """#!/bin/bash
echo $* >> {folder}/cancelled
kill -TERM -- -$(cat {folder}/${{!#}}.pid)
""",
}


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Slurm's commands, stood in for; returns the folder of what they leave."""
    folder = tmp_path / 'slurm'
    folder.mkdir()
    for name, text in SLURM.items():
        (folder / name).write_text(text.format(folder=folder) if '{folder}' in text else text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv('PATH', f'{folder}:{os.environ["PATH"]}')
    return folder


def local(jobs=2):
    return cluster_slots('local', jobs, None, None, {})


@pytest.mark.slow
def test_runs_go_through_submitit_and_a_failed_one_is_told(study):
    spec = study.load()
    spec.start, spec.runs['sed'].cfg_options['stub.fail_at'] = None, 1
    with pytest.raises(RunsFailed, match=r'sed, seed 0 failed with exit status 1 \(RuntimeError: the stub fails as'):
        study.runner(spec, slots=local()).run(seeds=[0], runs=['sed', 'all'])
    (entry,) = entries()
    assert entry['run'] == 'all' and entry['machine']['cores']
    assert not list(Path('work').rglob('cluster_job.json')), 'nothing to follow is left'
    assert study.runner(spec).run(seeds=[0], runs=['all']) == [], 'without a cluster it is the same run'


@pytest.mark.slow
def test_ctrl_c_cancels_the_jobs(study):
    spec = study.load()
    spec.runs['all'].cfg_options['stub.sleep'] = 60
    pids = Path('work/seed0/all/pids')
    runner = study.runner(spec, slots=local(2))
    runner.train_command[0] = sys.executable
    with interrupt_when(lambda: pids.is_file() and pids.read_text()):
        runner.run(seeds=[0], runs=['all'])
    assert all(ends(pid) for pid in pids.read_text().split())


@pytest.mark.slow
def test_slurm_is_asked_for_what_was_said(study, slurm):
    options = dict(account='me', time=60)
    runner = study.runner(slots=cluster_slots('slurm', 2, 1, 'gpu', options))
    runner.run(seeds=[0], runs=['all'])
    assert [entry['run'] for entry in entries()] == ['all']
    (batch,) = slurm.glob('*.sbatch')
    text = batch.read_text()
    for line in (
        'partition=gpu',
        'gpus-per-node=1',
        'account=me',
        'time=60',
        'job-name=all__seed_0',
        'cpus-per-task=5',
    ):
        assert f'#SBATCH --{line}\n' in text
    assert not (slurm / 'cancelled').exists()


@pytest.mark.slow
def test_a_job_that_a_killed_study_left_is_followed(study, slurm):
    spec = study.load()
    spec.runs['all'].cfg_options['stub.sleep'] = 3
    runner = study.runner(spec, slots=cluster_slots('slurm', 1, 1, None, {}))
    (job,) = runner.all_jobs([0], ['all'])
    job.work_dir.mkdir(parents=True)
    job.write_state(job.read_state())
    words = [*runner.train_command, *job.arguments()]
    runner.slots[0].start(words, job.log, {}, job.title).__enter__()  # and then the study is gone
    runner.run(seeds=[0], runs=['all'])
    assert len(list(slurm.glob('*.sbatch'))) == 1, 'no second job'
    assert [entry['run'] for entry in entries()] == ['all'] and len(study.starts('all')) == 1


def test_a_job_whose_time_is_up_goes_on_from_the_newest_checkpoint(tmp_path):
    submitit = pytest.importorskip('submitit')
    words = [sys.executable, '-c', 'import time; time.sleep(60)', '--resume', 'iter_2.pth', '--cfg-options', 'a=1']
    command = Command(words, str(tmp_path / 'log'), {}, True)
    from sssd.studies.child import Child

    with Child(words, tmp_path / 'log', {}) as command._child:
        delayed = command.checkpoint()
        assert command._child.returncode is not None, 'it was ended, and so has saved'
    assert isinstance(delayed, submitit.helpers.DelayedSubmission)
    assert delayed.function.words[3:] == ['--cfg-options', 'a=1', '--resume']


def test_what_is_missing_or_unknown_is_told(tmp_path, monkeypatch):
    with pytest.raises(UserError, match='there is no Slurm on this machine'):
        cluster_slots('slurm', 1, 8, 'gpu', {})[0].executor(tmp_path)
    with pytest.raises(UserError, match='--gpus-per-run is 0'):
        cluster_slots('slurm', 1, 0, 'gpu', {})
    monkeypatch.setitem(sys.modules, 'submitit', None)
    with pytest.raises(UserError, match='needs the package submitit, which is not installed: pip install'):
        cluster_slots('slurm', 1, 8, 'gpu', {})[0].executor(tmp_path)


def test_an_option_that_slurm_does_not_take_is_told(slurm, tmp_path):
    with pytest.raises(UserError, match='--cluster-options: .*acount'):
        cluster_slots('slurm', 1, 8, 'gpu', dict(acount='me'))[0].executor(tmp_path)
