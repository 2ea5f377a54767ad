"""Two processes (gloo) that get a signal, or of which one hangs: what is saved, said, and left behind."""

import os
import re
import signal
import subprocess
import time

import pytest
import random_runs
import torch

#: The module that the config imports.
SLOW = '''
import os
import random
import signal
import time
from pathlib import Path

import numpy
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class Slow(Hook):
    """Takes its time, tells where it is, and draws between two steps."""

    priority = 'HIGHEST'

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        drawn = random.random(), numpy.random.rand(), float(torch.rand(1))
        (Path(os.environ['MARKS']) / f"{os.environ['RANK']}.{runner.iter}").write_text(f'{os.getpid()} {drawn}')
        time.sleep(float(os.environ.get('SLOW', 0)))
'''
EXTRA = """
custom_imports = dict(imports=['sssd', 'slow'])
custom_hooks = custom_hooks + [dict(type='Slow')]
env_cfg = dict(env_cfg, dist_cfg=dict(backend='gloo', timeout={timeout}))
default_hooks['checkpoint']['interval'] = 100
"""


class Two:
    """A training by two processes, and where they write."""

    def __init__(self, job, tmp_path, python, repo_root):
        self.job, self.folder, self.python, self.root = job, tmp_path, python, repo_root
        (tmp_path / 'slow.py').write_text(SLOW)

    def start(self, port, *words, name='run', slow='0.3', program=None):
        """Start both; or ``program``, which starts them."""
        self.work_dir, self.marks = self.folder / name, self.folder / f'marks_{name}'
        self.marks.mkdir(exist_ok=True)
        env = dict(
            os.environ, MASTER_ADDR='127.0.0.1', MASTER_PORT=port, WORLD_SIZE='2', MARKS=str(self.marks), SLOW=slow,
            PYTHONPATH=os.pathsep.join([str(self.root), str(self.folder)]), CUDA_VISIBLE_DEVICES='-1',
        )  # fmt: skip
        words = ['--work-dir', str(self.work_dir), *words]
        if program is not None:
            starts = [([*program, str(self.job.config), '2', *words], dict(env, PORT=port))]
        else:
            command = [self.python, '-m', 'sssd', 'train', str(self.job.config), '--launcher', 'pytorch', *words]
            starts = [(command, dict(env, RANK=str(rank), LOCAL_RANK=str(rank))) for rank in range(2)]
        self.processes = [
            subprocess.Popen(
                command, env=env, cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                start_new_session=True,
            )
            for command, env in starts
        ]  # fmt: skip

    def wait_for(self, iteration):
        """Wait until both have begun an iteration."""
        end = time.monotonic() + 120
        while not all((self.marks / f'{rank}.{iteration}').exists() for rank in range(2)):
            assert time.monotonic() < end and all(process.poll() is None for process in self.processes), self.end()
            time.sleep(0.01)

    def end(self):
        """Statuses and what was printed, when all have ended."""
        said = [process.communicate(timeout=120)[0] for process in self.processes]
        return [process.returncode for process in self.processes], said

    def pid(self, rank):
        """The process that trains as a rank."""
        return int((self.marks / f'{rank}.0').read_text().split()[0])

    def pids(self):
        """The training processes that are still there."""
        return [rank for rank in range(2) if os.path.exists(f'/proc/{self.pid(rank)}')]

    def saved(self):
        return sorted(path.name for path in self.work_dir.glob('iter_*.pth'))

    def drawn(self):
        """What each process drew between two steps, by rank and iteration."""
        return {mark.name: mark.read_text().partition(' ')[2] for mark in self.marks.iterdir()}

    def weights(self, name='iter_6.pth'):
        return torch.load(self.work_dir / name, weights_only=False)['state_dict']


@pytest.fixture
def two(make_job, tmp_path, forked_python, repo_root):
    """A function that gives a training with so many seconds of patience."""

    def make(timeout=60, workers=2):
        extra = random_runs.extra('sed', workers, seed=5) + EXTRA.format(timeout=timeout)
        return Two(make_job(extra=extra), tmp_path, forked_python, repo_root)

    return make


def assert_goes_on(two, free_port):
    """On resume it ends as in one go, and each process draws what it would have drawn."""
    first = two.work_dir
    two.start(free_port(), '--resume', name=first.name, slow='0')
    statuses, said = two.end()
    assert statuses == [0, 0], said
    resumed, drawn = two.weights(), two.drawn()
    two.start(free_port(), name='whole', slow='0')
    assert two.end()[0] == [0, 0]
    assert all(torch.equal(value, resumed[name]) for name, value in two.weights().items())
    assert two.drawn() == drawn and len(drawn) == 12
    assert len(set(drawn.values())) == 11  # both begin alike


@pytest.mark.slow
@pytest.mark.parametrize('number, status, ranks', [(signal.SIGTERM, 143, [1]), (signal.SIGINT, 130, [0, 1])])
def test_a_signal_to_one_or_both_ends_both_after_one_save(two, free_port, number, status, ranks):
    job = two()
    job.start(free_port())
    job.wait_for(2)
    for rank in ranks:
        job.processes[rank].send_signal(number)
    statuses, said = job.end()
    assert statuses == [status, status], said
    (name,) = job.saved()
    assert name in ('iter_3.pth', 'iter_4.pth')
    told = re.findall(rf'{number.name}: training stops; the state after iteration \d is in (\S+)\.', ''.join(said))
    assert told == [name]
    assert 'Traceback' not in ''.join(said) and job.pids() == []
    if number == signal.SIGTERM:
        assert_goes_on(job, free_port)


@pytest.mark.slow
def test_gradients_that_wait_for_their_step_are_gone_on_with(two, free_port):
    """Three iterations a step, a checkpoint after the first five."""
    job = two(workers=0)
    text = job.job.config.read_text().replace("['interval'] = 100", "['interval'] = 5")
    job.job.config.write_text(text + "\noptim_wrapper['accumulative_counts'] = 3\n")
    job.start(free_port(), name='whole', slow='0')
    assert job.end()[0] == [0, 0]
    whole = job.weights()
    (job.work_dir / 'iter_6.pth').unlink()
    job.start(free_port(), '--resume', name='whole', slow='0')
    statuses, said = job.end()
    assert statuses == [0, 0] and 'No gradient is lost after all' in ''.join(said)
    before = torch.load(job.work_dir / 'iter_5.pth', weights_only=False)['state_dict']
    for name, value in job.weights().items():
        torch.testing.assert_close(value, whole[name], rtol=0, atol=2e-7)
    assert any((whole[name] - before[name]).abs().max() > 1e-4 for name in whole if whole[name].is_floating_point())


@pytest.mark.slow
def test_a_second_signal_ends_at_once(two, free_port):
    job = two()
    job.start(free_port(), slow='3')
    job.wait_for(1)
    for wait in (1.0, 0.0):
        for process in job.processes:
            process.send_signal(signal.SIGTERM)
        time.sleep(wait)
    began = time.monotonic()
    assert job.end()[0] == [143, 143] and time.monotonic() - began < 2
    assert job.saved() == [] and job.pids() == []


@pytest.mark.slow
@pytest.mark.parametrize('whom', ['launcher', 'group'])
def test_a_launcher_that_gets_a_signal_leaves_nothing_behind(two, free_port, repo_root, whom):
    job = two()
    job.start(free_port(), program=['bash', str(repo_root / 'tools/dist_train.sh')])
    job.wait_for(2)
    (launcher,) = job.processes
    if whom == 'launcher':
        launcher.send_signal(signal.SIGTERM)
    else:
        os.killpg(launcher.pid, signal.SIGINT)
    statuses, said = job.end()
    assert statuses[0] != 0 and len(job.saved()) == 1, said
    name = 'SIGTERM' if whom == 'launcher' else 'SIGINT'
    assert said[0].count(f'{name}: training stops; the state after iteration') == 1, said
    assert job.pids() == []


@pytest.mark.slow
@pytest.mark.parametrize('victim', [0, 1])
def test_a_process_that_hangs_is_told_by_the_other(two, free_port, victim):
    job = two(timeout=5, workers=0)
    job.start(free_port())
    job.wait_for(2)
    stopped = job.pid(victim)
    os.kill(stopped, signal.SIGSTOP)
    began = time.monotonic()
    try:
        said = job.processes[1 - victim].communicate(timeout=60)[0]
        took = time.monotonic() - began
    finally:
        os.kill(stopped, signal.SIGKILL)
    assert job.processes[1 - victim].returncode == 2, said
    assert f'sssd: error: process {1 - victim} has waited for another one' in said and 'Traceback' not in said, said
    assert took < 15
    job.processes[victim].wait(60)
    assert job.pids() == []
