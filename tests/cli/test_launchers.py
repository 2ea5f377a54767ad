"""The launchers of tools/: restarts after a lost worker, and Slurm, whose srun is replaced by one for this machine."""

import os
import re
import shutil
import socket
import sys

import elastic
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

#: A stand-in for srun: it prints its options and starts --ntasks processes with the variables that Slurm gives them.
SRUN = """#!{python}
import os
import re
import subprocess
import sys

options = [value for value in sys.argv[1:] if re.match('--(partition|job-name|gres|ntasks|cpus|kill|exclude)', value)]
print('srun', *options, flush=True)
command = sys.argv[1 + len(options):]
count = int(next(value for value in options if value.startswith('--ntasks=')).split('=')[1])
tasks = [subprocess.Popen(command, env=dict(
    os.environ, SLURM_PROCID=str(rank), SLURM_LOCALID=str(rank), SLURM_NTASKS=str(count), SLURM_NODELIST='node[1-1]'))
    for rank in range(count)]
sys.exit(max(task.wait() for task in tasks))
"""
SCONTROL = '#!/bin/sh\n[ "$*" = "show hostnames node[1-1]" ] && echo 127.0.0.1\n'


@pytest.fixture
def slurm(tmp_path, free_port, forked_python):
    """What to set so that the stand-ins are found, and tasks start loaded."""
    programs = tmp_path / 'programs'
    programs.mkdir()
    for name, text in (('srun', SRUN.replace('{python}', sys.executable)), ('scontrol', SCONTROL)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    path = f'{programs}{os.pathsep}{os.environ["PATH"]}'
    return dict(PATH=path, PORT=free_port(), CUDA_VISIBLE_DEVICES='-1', PYTHON=forked_python)


def iterations(log):
    return [int(number) for number in re.findall(r'Iter\(train\) +\[ *(\d+)/', log)]


@pytest.mark.slow
def test_a_lost_worker_is_started_again_and_nothing_is_lost(
    run_tool, undisturbed, assert_same_weights, free_port, tmp_path, logs_of
):
    done = run_tool(
        'dist_train.sh',
        undisturbed.config,
        '2',
        '--work-dir',
        tmp_path / 'cut',
        PORT=free_port(),
        MAX_RESTARTS='1',
        LOSE='worker',
        MARK=str(tmp_path / 'lost'),
        PYTHONPATH=elastic.write_hook(tmp_path),
        CUDA_VISIBLE_DEVICES='-1',
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert iterations(undisturbed.log) == [1, 2, 3, 4, 5, 6]
    # Rank 1 was killed after the fourth, while rank 0 may still have been writing its checkpoint.
    log = logs_of(tmp_path / 'cut')
    assert iterations(log) in ([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 3, 4, 5, 6])
    assert (tmp_path / 'lost').exists() and 'resumed epoch' in log
    assert_same_weights(tmp_path / 'cut', undisturbed.work_dir)


@pytest.mark.slow
def test_every_interval_of_sed_logs_its_losses_and_schedules_with_an_eta(undisturbed):
    lines = [line for line in undisturbed.log.splitlines() if 'Iter(train)' in line]
    (folder,) = undisturbed.work_dir.glob('*/vis_data')
    events = EventAccumulator(str(folder)).Reload()
    for name in (
        'lambda_s',
        'lambda_d',
        'alpha',
        'unsup_over_sup',
        'loss',
        'sup_loss_cls',
        'sup_loss_bbox',
        'bbox_loss_scale_cls',
        'bbox_loss_scale_bbox',
        'bbox_loss_distill_cls',
        'bbox_loss_distill_bbox',
        'bbox_teacher_above_half',
    ):
        assert all(f' {name}: ' in line for line in lines), name
        assert [event.step for event in events.Scalars(name)] == [1, 2, 3, 4, 5, 6], name
    assert len(lines) == 6 and all(re.search(r'eta: \d+:\d\d:\d\d', line) for line in lines)


def test_a_place_that_another_job_has_is_told_and_not_joined(run_tool, job, free_port):
    port = free_port()
    with socket.socket() as other:
        other.bind(('localhost', int(port)))
        other.listen()
        done = run_tool('dist_train.sh', job.config, '1', PORT=port, MAX_RESTARTS='1', CUDA_VISIBLE_DEVICES='-1')
    assert done.returncode not in (0, 2) and 'iter 1/' not in done.stdout
    assert 'RendezvousConnectionError' in done.stderr


def test_a_config_beside_the_launcher_is_found_from_any_folder(run_tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run_tool('dist_train.sh', 'quickstart/retinanet_sed.py', '1', '--help')
    assert done.returncode == 0 and '--work-dir' in done.stdout, done.stderr[-500:]


def test_slurm_trains_with_two_tasks(run_tool, job, slurm):
    done = run_tool(
        'slurm_train.sh',
        'short',
        'tiny',
        job.config,
        job.work_dir,
        GPUS='2',
        GPUS_PER_NODE='1',
        CPUS_PER_TASK='3',
        SRUN_ARGS='--exclude=node7',
        **slurm,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith(
        'srun --partition=short --job-name=tiny --gres=gpu:1 --ntasks=2 --ntasks-per-node=1 --cpus-per-task=3 '
        '--kill-on-bad-exit=1 --exclude=node7\n'
    )
    assert "launcher='slurm'" in job.log or "launcher = 'slurm'" in job.log
    assert re.search(r'GPU number: 2', job.log) and job.checkpoint.is_file()
    assert done.stdout.count('\niter 2/2 ') == 1 and done.stdout.count('\nmodel: ') == 1, 'only the first task reports'


def test_slurm_tests_with_two_tasks(run_tool, trained, tmp_path, slurm):
    done = run_tool(
        'slurm_test.sh',
        'short',
        'tiny',
        trained.config,
        trained.checkpoint,
        '--work-dir',
        tmp_path / 'test',
        GPUS='2',
        GRES='',
        **slurm,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert '--gres' not in done.stdout and '--ntasks-per-node=2' in done.stdout
    assert len(re.findall(r'^coco/bbox_mAP: \d\.\d+$', done.stdout, flags=re.M)) == 1


def test_a_mistake_under_slurm_is_told_once(run_tool, job, slurm):
    done = run_tool(
        'slurm_train.sh', 'short', 'tiny', job.config, '--cfg-options', 'load_from=away.pth', GPUS='2', **slurm
    )
    assert done.returncode == 2
    assert done.stderr.count('sssd: error: checkpoint away.pth does not exist') == 1


@pytest.mark.parametrize(
    'script, args, env, said',
    [
        ('slurm_train.sh', ['short', 'tiny'], {}, 'usage: '),
        ('slurm_test.sh', ['short', 'tiny', 'CONFIG'], {}, 'CONFIG CHECKPOINT'),
        ('slurm_train.sh', ['short', 'tiny', 'gone.py'], {}, 'config file gone.py does not exist'),
        ('slurm_test.sh', ['short', 'tiny', 'CONFIG', 'gone.pth'], {}, 'checkpoint gone.pth does not exist'),
        ('slurm_train.sh', ['short', 'tiny', 'CONFIG'], dict(GPUS='two'), "GPUS is 'two'"),
        ('slurm_train.sh', ['short', 'tiny', 'CONFIG'], dict(GPUS='6', GPUS_PER_NODE='4'), 'no multiple of'),
        ('dist_train.sh', ['gone.py', '2'], {}, 'config file gone.py does not exist'),
        ('dist_train.sh', ['CONFIG', '--resume'], {}, "NPROC is '--resume'"),
        ('dist_train.sh', ['CONFIG', '2'], dict(MAX_RESTARTS='-1'), "MAX_RESTARTS is '-1'"),
        ('dist_train.sh', ['CONFIG', '2', '--resume', 'a.pth'], dict(MAX_RESTARTS='1'), '--resume with a checkpoint'),
        ('dist_train.sh', ['CONFIG', '2', '--resume=a.pth'], dict(MAX_RESTARTS='1'), '--resume with a checkpoint'),
        ('dist_train.sh', ['CONFIG', '2'], dict(NNODES='0'), "NNODES is '0'"),
        ('dist_train.sh', ['CONFIG', '2'], dict(NNODES='1:2'), 'NNODES=1:2 needs RDZV_ENDPOINT'),
        ('dist_train.sh', ['CONFIG', '2'], dict(PORT='99999'), "PORT is '99999'"),
        ('dist_train.sh', ['CONFIG', '2'], dict(PORT='ssh'), "PORT is 'ssh'"),
        ('dist_train.sh', ['CONFIG', '2'], dict(NODE_RANK='first'), "NODE_RANK is 'first'"),
        (
            'dist_train.sh',
            ['CONFIG', '2'],
            dict(NNODES='2', NODE_RANK='2'),
            'NODE_RANK is 2, but has to be below NNODES=2',
        ),
        ('dist_test.sh', ['CONFIG', 'gone.pth', '2'], {}, 'checkpoint gone.pth does not exist'),
    ],
)
def test_a_wrong_argument_is_told_before_anything_starts(run_tool, job, slurm, script, args, env, said):
    args = [str(job.config) if arg == 'CONFIG' else arg for arg in args]
    done = run_tool(script, *args, **{**slurm, **env})
    assert done.returncode == 2 and done.stdout == ''
    assert said in done.stderr and len(done.stderr.strip().splitlines()) == 1


def only_these_programs(folder, **programs):
    """A folder for PATH with what the launchers call before they start anything, and scripts of the test's own."""
    folder.mkdir()
    for name in ('bash', 'dirname'):
        (folder / name).symlink_to(shutil.which(name))
    for name, text in programs.items():
        (folder / name).write_text(f'#!{shutil.which("bash")}\n{text}\n')
        (folder / name).chmod(0o755)
    return str(folder)


def test_without_slurm_that_is_told(run_tool, job, tmp_path):
    done = run_tool('slurm_train.sh', 'short', 'tiny', job.config, PATH=only_these_programs(tmp_path / 'programs'))
    assert (done.returncode, done.stdout) == (2, '')
    assert done.stderr == 'error: srun was not found: run this where Slurm is, or use tools/dist_*.sh.\n'


@pytest.mark.parametrize(
    'env, told',
    [
        (dict(NNODES='2', NODE_RANK='1', MAX_RESTARTS='1'), True),
        (dict(NNODES='1:2', NODE_RANK='1', RDZV_ENDPOINT='host:1'), True),
        (dict(NNODES='2', NODE_RANK='1'), False),
        (dict(NNODES='2', MAX_RESTARTS='1'), False),
        (dict(NODE_RANK='0', MAX_RESTARTS='1'), False),
    ],
)
def test_a_node_rank_that_is_not_used_is_told(run_tool, job, tmp_path, env, told):
    path = only_these_programs(tmp_path / 'programs', interpreter='echo "$@"')
    done = run_tool('dist_train.sh', job.config, '1', PATH=path, PYTHON='interpreter', **env)
    assert done.returncode == 0 and done.stdout.startswith('-m torch.distributed.run ')
    assert ('--node-rank=1' in done.stdout) == (env == dict(NNODES='2', NODE_RANK='1'))
    assert done.stderr.startswith('note: NODE_RANK=1 is not used') if told else done.stderr == ''


@pytest.mark.parametrize(
    'env, place',
    [
        (
            dict(NNODES='2', NODE_RANK='1', MASTER_ADDR='node0', PORT='29444'),
            '--nnodes=2 --nproc-per-node=4 --max-restarts=0 --node-rank=1 --master-addr=node0 --master-port=29444 ',
        ),
        (
            {},
            '--nnodes=1 --nproc-per-node=4 --max-restarts=0 --node-rank=0 --master-addr=127.0.0.1 --master-port=29500 ',
        ),
    ],
)
def test_fixed_nodes_meet_at_the_first(run_tool, job, tmp_path, env, place):
    path = only_these_programs(tmp_path / 'programs', interpreter='echo "$@"')
    done = run_tool('dist_train.sh', job.config, '4', PATH=path, PYTHON='interpreter', **env)
    assert done.returncode == 0 and place in done.stdout, done.stdout
