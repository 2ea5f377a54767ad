"""A study of two processes a run (torchrun, gloo) is killed: what trains saves and is gone, the next call goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from study_runs import ends

from sssd.locks import training_in

#: The study's command, with as many processes on a CPU as it would have GPUs.
STUDY = """
import sys
from pathlib import Path
from sssd.cli import study
from sssd.errors import run_cli
from sssd.studies.results import ResultsFile
from sssd.studies.runner import StudyRunner
from sssd.studies.slots import Slot
from sssd.studies.spec import load_spec

def main(words):
    spec = load_spec('spec.py')
    return study.run(StudyRunner(spec, ResultsFile('results.json', spec.name), Path('work'), slots=[Slot(2)]))

if __name__ == '__main__':
    sys.exit(run_cli(main, []))
"""
SLOW = """
import os
import time
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class Slow(Hook):
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        Path(f"pid.{os.environ['RANK']}").write_text(f'{os.getpid()} {os.getppid()} {runner.iter}')
        time.sleep(float(os.environ.get('SLOW', 0)))
"""
EXTRA = """
custom_imports = dict(imports=['sssd', 'slow'])
custom_hooks = [dict(type='Slow')]
val_dataloader, val_evaluator, val_cfg = test_dataloader, test_evaluator, dict(type='ValLoop')
train_cfg = dict(type='IterBasedTrainLoop', max_iters=40, val_interval=40)
train_dataloader['num_workers'] = 1
default_hooks['checkpoint']['interval'] = 100
env_cfg = dict(env_cfg, dist_cfg=dict(backend='gloo', timeout=60))
"""


@pytest.fixture
def study(make_job, tmp_path, repo_root):
    """A function that starts the study; ``SLOW`` seconds an iteration."""
    job = make_job(extra=EXTRA)
    for name, text in (('slow.py', SLOW), ('study.py', STUDY)):
        (tmp_path / name).write_text(text)
    (tmp_path / 'spec.py').write_text(f"name = 'tiny'\nruns = dict(few=dict(config={str(job.config)!r}))\n")
    started = []

    def start(slow):
        path = os.pathsep.join([str(repo_root), str(tmp_path)])
        started.append(
            subprocess.Popen(
                [sys.executable, str(tmp_path / 'study.py')], cwd=tmp_path, stdout=subprocess.PIPE, text=True,
                stderr=subprocess.STDOUT, start_new_session=True,
                env=dict(os.environ, PYTHONPATH=path, SLOW=slow, CUDA_VISIBLE_DEVICES='-1', COLUMNS='300'),
            )
        )  # fmt: skip
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def pids(folder, process, iteration=2):
    """The workers and their launcher, once both have trained so far."""
    files = [folder / f'pid.{rank}' for rank in range(2)]
    for _ in range(1200):
        said = [file.read_text().split() if file.is_file() else [] for file in files]
        if all(len(words) == 3 and int(words[2]) >= iteration for words in said):
            return {int(pid) for words in said for pid in words[:2]}
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    raise AssertionError((folder / 'work/seed0/few/study_run.log').read_text())


@pytest.mark.slow
def test_both_trainings_of_a_study_that_is_killed_save_and_are_gone(study, tmp_path):
    process = study('0.3')
    there = pids(tmp_path, process)
    work_dir = tmp_path / 'work/seed0/few'
    assert len(there) == 3 and training_in(work_dir).pid in there
    process.kill()
    process.wait(60)
    assert all(ends(pid, 60) for pid in there), (work_dir / 'study_run.log').read_text()
    assert training_in(work_dir) is None
    (saved,) = work_dir.glob('iter_*.pth')
    assert (work_dir / 'study_run.log').read_text().count('SIGTERM: training stops') == 1
    process = study('0')
    said = process.communicate(timeout=200)[0]
    assert process.returncode == 0 and f'resumes from {saved.name}' in said, said
    (entry,) = json.loads((tmp_path / 'results.json').read_text())['runs']
    assert entry['attempts'] == 2 and Path(work_dir, 'iter_40.pth').is_file()
