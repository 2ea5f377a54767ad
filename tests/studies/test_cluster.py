"""Runs as jobs of a cluster: submitit's own executor, and Slurm's commands stood in for."""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
from study_runs import ends, entries, interrupt_when

from sssd.errors import UserError
from sssd.studies.cluster import Command, cluster_slots, job_in
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
    'scontrol': """#!/bin/bash
[[ $1 == requeue ]] || exit 1
date +%s.%N > {folder}/queued
SLURM_JOB_ID=$2 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0 SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 \\
    setsid bash -c 'sleep 6; date +%s.%N > {folder}/goes_on; exec bash batch' > /dev/null 2>&1 < /dev/null &
echo $! > {folder}/$2.pid
""",
}
#: An sbatch that takes no job of a run but others.
REFUSES = """#!/bin/bash
if grep -q job-name={name} "$1"; then
    echo 'sbatch: error: QOSMaxSubmitJobPerUserLimit' >&2
    echo 'sbatch: error: Batch job submission failed: Job violates accounting/QOS policy' >&2
    exit 1
fi
exec {folder}/sbatch.taken "$1"
"""


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


def leave_a_job(study, sleep=3):
    """Have a study submit a job of the run ``all`` and be gone; the specification, the run and the job's number."""
    spec = study.load()
    spec.runs['all'].cfg_options['stub.sleep'] = sleep
    runner = study.runner(spec, slots=cluster_slots('slurm', 1, 1, None, {}))
    (job,) = runner.all_jobs([0], ['all'])
    words = [*runner.train_command, *job.arguments()]
    with job.attempt(None):  # and never left, as a killed study does not leave it
        job.work_dir.mkdir(parents=True, exist_ok=True)
        runner.slots[0].start(words, job.log, {}, job.title).__enter__()
    return spec, job, json.loads((job.work_dir / 'cluster_job.json').read_text())['job']


@pytest.mark.slow
def test_a_job_that_a_killed_study_left_is_followed(study, slurm):
    spec, job, _ = leave_a_job(study)
    study.runner(spec, slots=cluster_slots('slurm', 1, 1, None, {})).run(seeds=[0], runs=['all'])
    assert len(list(slurm.glob('*.sbatch'))) == 1, 'no second job'
    assert [entry['run'] for entry in entries()] == ['all'] and len(study.starts('all')) == 1
    (attempt,) = job.read_state()['attempts']
    assert attempt['seconds'] > 3, 'all of its time, and once'


@pytest.mark.slow
def test_the_folder_of_a_job_that_runs_is_not_moved(study, slurm):
    spec, job, number = leave_a_job(study, sleep=120)
    with pytest.raises(UserError, match=f'runs or waits as job {number} of Slurm already: .*scancel {number}`'):
        study.runner(spec).run(seeds=[0], runs=['all'])
    spec.runs['all'].cfg_options['stub.bonus'] = 13
    slots = cluster_slots('slurm', 1, 1, None, {})
    for runner in (study.runner(spec), study.runner(spec, slots=slots)):
        with pytest.raises(UserError) as caught:
            runner.run(seeds=[0], runs=['all'])
        said = str(caught.value)
        assert said.startswith(
            'all, seed 0 is specified otherwise, or has other data, than what is in work/seed0/all, where job '
        )
        assert f'end it with `scancel {number}`' in said and '\n' not in said
    assert list(Path('work/seed0').glob('all*')) == [job.work_dir] and not (slurm / 'cancelled').exists()
    copy = Path(shutil.copytree('work', 'copy')) / 'seed0/all'
    assert job_in(job.work_dir) and job_in(copy) is None, 'a copied folder has no part in the job'
    while not (pids := job.work_dir / 'pids').is_file() or not pids.read_text():
        time.sleep(0.1)
    for pid in pids.read_text().split():
        os.kill(int(pid), signal.SIGTERM)
    while job_in(job.work_dir):
        time.sleep(0.2)
    spec.runs['all'].cfg_options.pop('stub.sleep')
    study.runner(spec).run(seeds=[0], runs=['all'])
    assert Path('work/seed0/all.old1/pids').is_file() and len(study.starts('all')) == 1


@pytest.mark.slow
def test_times_in_the_queue_are_none_of_training(study, slurm):
    spec = study.load()
    spec.runs['all'].cfg_options['stub.sleep'] = 2
    runner = study.runner(spec, slots=cluster_slots('slurm', 1, 1, None, {}))
    runner.train_command[0] = sys.executable
    pids, seen = Path('work/seed0/all/pids'), []

    def tick(status):
        seen.append(status.text)
        if pids.is_file() and pids.read_text() and len(list(slurm.glob('queued'))) == 0 and 'told' not in seen:
            seen.append('told')
            training = int(pids.read_text().split()[0])
            job = int(Path(f'/proc/{training}/stat').read_text().rpartition(')')[2].split()[1])
            os.kill(job, signal.SIGUSR2)  # as Slurm does before it takes a job off its node

    runner.reporter.tick = tick
    began = time.time()
    runner.run(seeds=[0], runs=['all'])
    whole = time.time() - began
    queued, goes_on = (float((slurm / name).read_text()) for name in ('queued', 'goes_on'))
    (attempt,) = json.loads(Path('work/seed0/all/study_run.json').read_text())['attempts']
    assert 2 < attempt['seconds'] < whole - (goes_on - queued) + 0.5 and goes_on - queued > 5.9
    assert len(study.starts('all')) == 2
    after = seen[seen.index('told') :]
    assert 'waiting in the queue' in after and after[-1] != 'waiting in the queue'


@pytest.mark.slow
@pytest.mark.parametrize('jobs', [1, 2])
def test_a_job_that_sbatch_refuses_is_told_and_the_others_run(study, slurm, jobs, capfd):
    (slurm / 'sbatch').rename(slurm / 'sbatch.taken')
    (slurm / 'sbatch').write_text(REFUSES.format(name='few__seed_0', folder=slurm))
    (slurm / 'sbatch').chmod(0o755)
    spec = study.load()
    spec.start = None
    with pytest.raises(RunsFailed) as caught:
        study.runner(spec, slots=cluster_slots('slurm', jobs, 1, 'gpu', {})).run(seeds=[0], runs=['few', 'all'])
    assert str(caught.value) == (
        'the cluster took no job for few, seed 0 (sbatch: error: Batch job submission failed: Job violates '
        'accounting/QOS policy): check --partition and --cluster-options, and how many jobs you may have; call the '
        'study again, what is done is kept'
    )
    assert [entry['run'] for entry in entries()] == ['all']
    assert 'Traceback' not in ''.join(capfd.readouterr()) and 'Traceback' not in study.output.getvalue()
    assert not list(Path('work').rglob('cluster_job.json'))


def test_a_cluster_without_sbatch_is_told(study, slurm):
    (slurm / 'sbatch').unlink()
    with pytest.raises(UserError, match=r'took no job for all, seed 0 \(.*No such file or directory.*sbatch'):
        study.runner(slots=cluster_slots('slurm', 1, 1, None, {})).run(seeds=[0], runs=['all'])


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


def test_a_job_that_a_cluster_starts_anew_goes_on_where_it_was(tmp_path):
    """A node has failed: nobody could tell the job, whose command is as it was."""
    words = [sys.executable, '-c', 'import sys; print(*sys.argv[1:])', '--resume', 'iter_2.pth', '--cfg-options', 'a=1']
    for _ in range(2):
        assert Command(words, str(tmp_path / 'log'), {}, True)()['returncode'] == 0
    assert (tmp_path / 'log').read_text().splitlines() == [
        '--resume iter_2.pth --cfg-options a=1',
        '--cfg-options a=1 --resume',
    ]
    assert json.loads((tmp_path / 'cluster_clock.json').read_text())['queued'] is False


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
