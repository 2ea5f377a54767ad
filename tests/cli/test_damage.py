"""A training goes on from the newest checkpoint that can be read, whatever has happened to the others."""

import itertools
import json
import os
import random
import re
import resource
import shutil
import signal
import time
from pathlib import Path

import evil
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import ValLoop

from sssd.checkpoints import keeping, saving
from sssd.checkpoints.files import newest_checkpoint
from sssd.cli import train
from sssd.errors import UserError, run_cli
from sssd.locks import training_lock
from sssd.report.scalars import history, read_curves

#: Validation every two iterations, as checkpoints are written.
VALIDATED = """
train_cfg = dict(type='IterBasedTrainLoop', max_iters=4, val_interval=2)
val_dataloader, val_evaluator, val_cfg = test_dataloader, test_evaluator, dict(type='ValLoop')
default_hooks['logger']['log_metric_by_epoch'] = False
for loader in (train_dataloader, val_dataloader):
    loader['dataset']['serialize_data'] = False
"""
KILLED = 9
number = itertools.count()


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')


@pytest.fixture(scope='module', autouse=True)
def _quick():
    """What a Runner does for its log, half of the time of these trainings, is left out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Config, 'pretty_text', '')
        patch.setattr('mmengine.runner.runner.collect_env', dict)
        yield


@pytest.fixture(scope='module')
def whole(tmp_path_factory, make_tiny_coco, write_job):
    """A training of four iterations with checkpoints after two and four, each validated."""
    folder = tmp_path_factory.mktemp('whole')
    job = write_job(folder, make_tiny_coco(folder / 'coco'), extra=VALIDATED)
    run(job.config, job.work_dir)
    return job


@pytest.fixture
def broken(whole, tmp_path):
    """The same training, to be broken."""
    shutil.copytree(whole.work_dir, tmp_path / 'run')
    return Broken(whole.config, tmp_path / 'run')


class Broken:
    """A training and what can happen to it."""

    def __init__(self, config, work_dir):
        self.config, self.work_dir = config, work_dir

    @property
    def newest(self):
        """Its newest checkpoint."""
        return self.work_dir / 'iter_4.pth'

    def train(self, *words, iterations=6):
        """Train on; the iterations that were trained."""
        return run(self.config, self.work_dir, '--resume', *words, iterations=iterations)


def run(config, work_dir, *words, iterations=4):
    """Train; the iterations that were trained and those after which was validated."""
    before = _logged(work_dir)
    name = f'experiment_name=damage_{next(number)}'  # mmengine's own has the time in it, to the second
    options = [word for word in words if '=' in word]
    words = [word for word in words if '=' not in word]
    options += [name, f'train_cfg.max_iters={iterations}']
    train.main([str(config), '--work-dir', str(work_dir), *words, '--cfg-options', *options])
    rows = _logged(work_dir)[len(before) :]
    return ([row['iter'] for row in rows if 'loss' in row], [row['step'] for row in rows if 'coco/bbox_mAP' in row])


def _logged(work_dir):
    """What was logged in a work directory, oldest first."""
    logs = sorted(work_dir.glob('*/vis_data/scalars.json'))
    return [json.loads(line) for log in logs for line in log.read_text().splitlines()]


def killed(call, *args, **kwargs):
    """Call a function in another process that has to end by :func:`kill`."""
    child = os.fork()
    if child == 0:
        try:
            call(*args, **kwargs)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED


def kill(*args, **kwargs):
    """What stands where a process is killed."""
    os._exit(KILLED)


def kill_at(patch, function, name):
    """Kill the process where it is about to write this file to the disk (``fsync``), or to name it so (``replace``)."""
    original = getattr(os, function)

    def step(file, *target):
        path = target[0] if target else shown(os.readlink(f'/proc/self/fd/{file}'))
        return kill() if os.path.basename(path).endswith(name) else original(file, *target)

    patch.setattr(saving.os, function, step)


def test_nothing_has_happened(broken, capsys):
    assert broken.train() == ([5, 6], [6])
    assert 'passed over' not in capsys.readouterr().out
    assert (broken.work_dir / 'last_checkpoint').read_text() == 'iter_6.pth'


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damaged(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 200] = b'\xff' * 200
    path.write_bytes(content)


def flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def diverged(path):
    checkpoint = torch.load(path, weights_only=False)
    next(iter(checkpoint['state_dict'].values())).fill_(float('nan'))
    torch.save(checkpoint, path)


def weights_alone(path):
    torch.save(dict(meta={}, state_dict=torch.load(path, weights_only=False)['state_dict']), path)


DAMAGE = {
    'damaged': (damaged, r'is damaged \(its record \S+ is not as it was written\)'),
    'cut': (cut, 'is damaged or cut off'),
    'zero-byte': (lambda path: path.write_bytes(b''), r'is empty \(0 bytes\)'),
    'bit-flipped': (flipped, r'is damaged \(its record \S+ is not as it was written\)'),
    'filled with zeros': (lambda path: path.write_bytes(bytes(path.stat().st_size)), 'is filled with zeros'),
    'a web page': (lambda path: path.write_text('<!DOCTYPE html>'), 'is a web page'),
    'diverged': (diverged, 'has NaN in 1 of'),
    'weights alone': (weights_alone, 'holds weights alone'),
    'harmful': (lambda path: evil.write_evil(path, path.with_name('marker')), 'asks for io.open'),
}


@pytest.mark.parametrize('damage, said', DAMAGE.values(), ids=DAMAGE)
def test_a_newest_checkpoint_that_is_no_good_is_passed_over(broken, capsys, damage, said):
    damage(broken.newest)
    assert broken.train() == ([3, 4, 5, 6], [4, 6])
    lines = [line for line in capsys.readouterr().out.splitlines() if 'passed over' in line]
    assert len(lines) == 1 and re.search(f'(?i)warning.* passed over: checkpoint {broken.newest} {said}', lines[0])
    assert not (broken.work_dir / 'marker').exists()


@pytest.mark.parametrize(
    'change',
    [
        lambda hint: hint.unlink(),
        lambda hint: hint.write_text(''),
        lambda hint: hint.write_bytes(bytes(range(256))),
        lambda hint: hint.write_text('/nowhere/iter_2.pth'),
        lambda hint: hint.write_text('iter_2.pth'),
        lambda hint: hint.write_text(str(evil.write_evil(hint.with_name('iter_9.bin'), hint.with_name('marker')))),
    ],
    ids=['lost', 'empty', 'bytes', 'of elsewhere', 'old', 'planted'],
)
def test_last_checkpoint_is_only_a_hint(broken, change):
    change(broken.work_dir / 'last_checkpoint')
    assert broken.train() == ([5, 6], [6])
    assert not (broken.work_dir / 'marker').exists()


def test_a_moved_work_directory(broken, tmp_path):
    (broken.work_dir / 'last_checkpoint').write_text(str(broken.newest))  # as MMEngine writes it
    moved = Broken(broken.config, broken.work_dir.rename(tmp_path / 'moved'))
    assert moved.train() == ([5, 6], [6])
    assert not broken.work_dir.exists()


@pytest.mark.parametrize('template', [None, 's{}.pth'], ids=['usual names', 'names of its own'])
def test_a_copied_work_directory_goes_on_from_its_own_checkpoint(broken, tmp_path, template):
    """The original has gone on; nothing of it is read, though ``last_checkpoint`` names it, and nothing is changed."""
    options = [f'default_hooks.checkpoint.filename_tmpl={template}'] * (template is not None)
    for path in broken.work_dir.glob('iter_*.pth') if template else ():
        path.rename(path.with_name(path.name.replace('iter_', 's')))
    newest = broken.work_dir / ('s4.pth' if template else 'iter_4.pth')
    (broken.work_dir / 'last_checkpoint').write_text(str(newest))  # as MMEngine writes it
    copy = Broken(broken.config, Path(shutil.copytree(broken.work_dir, tmp_path / 'copies' / 'run')))
    broken.train(*options, iterations=8)
    before = {path: path.stat().st_mtime_ns for path in broken.work_dir.rglob('*')}
    assert copy.train(*options) == ([5, 6], [6])
    assert {path: path.stat().st_mtime_ns for path in broken.work_dir.rglob('*')} == before


def test_another_folder_for_checkpoints(broken, tmp_path, capsys):
    hook = [
        'default_hooks.checkpoint.out_dir=' + str(tmp_path / 'out'),
        'default_hooks.checkpoint.filename_tmpl=s{}.pth',
    ]
    assert broken.train(*hook, iterations=6) == ([5, 6], [6])
    assert broken.train(*hook, iterations=8) == ([7, 8], [8])
    cut(tmp_path / 'out' / 'run' / 's8.pth')
    assert (broken.work_dir / 'last_checkpoint').read_text() == '../out/run/s8.pth'
    capsys.readouterr()
    assert broken.train(*hook, iterations=8) == ([7, 8], [8])
    assert 'passed over: checkpoint' in capsys.readouterr().out


def test_nothing_that_can_be_read_is_an_error_and_nothing_at_all_is_a_beginning(broken):
    for name in ('iter_2.pth', 'iter_4.pth'):
        cut(broken.work_dir / name)
    with pytest.raises(UserError, match=r'no checkpoint in .*run can be read, of 2, .*iter_4.pth is damaged or cut'):
        broken.train()
    for name in ('iter_2.pth', 'iter_4.pth'):
        (broken.work_dir / name).unlink()
    assert broken.train(iterations=2) == ([1, 2], [2])


def shown(name):
    """The name of an unfinished file without the process that was writing it."""
    return re.sub(r'\.\d+@.+\.part$', '', name)


def leftovers(work_dir):
    return sorted(shown(path.name) for path in work_dir.iterdir() if path.suffix in ('.pth', '.part'))


@pytest.mark.parametrize('place', ['fsync', 'replace'])
def test_a_kill_inside_a_save(broken, monkeypatch, place):
    with monkeypatch.context() as patch:
        kill_at(patch, place, 'iter_6.pth')
        killed(broken.train)
    assert leftovers(broken.work_dir) == ['.iter_6.pth', 'iter_2.pth', 'iter_4.pth']
    assert broken.train() == ([5, 6], [6])
    assert leftovers(broken.work_dir) == ['iter_2.pth', 'iter_4.pth', 'iter_6.pth']


@pytest.mark.parametrize('place', ['fsync', 'replace'])
def test_a_kill_inside_a_save_where_one_checkpoint_is_kept(broken, monkeypatch, place):
    one = 'default_hooks.checkpoint.max_keep_ckpts=1'
    (broken.work_dir / 'iter_2.pth').unlink()
    broken.train(one, iterations=6)
    assert leftovers(broken.work_dir) == ['iter_4.pth', 'iter_6.pth']  # iter_4 was not this training's to remove
    with monkeypatch.context() as patch:
        kill_at(patch, place, 'iter_8.pth')
        killed(broken.train, one, iterations=8)
    assert leftovers(broken.work_dir) == ['.iter_8.pth', 'iter_4.pth', 'iter_6.pth']
    assert broken.train(one, iterations=8) == ([7, 8], [8])
    assert leftovers(broken.work_dir) == ['iter_4.pth', 'iter_8.pth']


def test_a_folder_that_another_process_trains_in_is_refused(broken, monkeypatch, capsys):
    monkeypatch.setattr('sssd.locks.PATIENCE', 1.0)
    before = set(broken.work_dir.iterdir())
    with training_lock(broken.work_dir):
        status = run_cli(train.main, [str(broken.config), '--work-dir', str(broken.work_dir), '--resume'])
    assert status == 2
    assert f'sssd: error: process {os.getpid()} trains in {broken.work_dir}, and two' in capsys.readouterr().err
    assert set(broken.work_dir.iterdir()) == before
    assert broken.train() == ([5, 6], [6]), 'free again'


def test_a_kill_before_the_old_checkpoint_is_removed(broken, monkeypatch):
    one = 'default_hooks.checkpoint.max_keep_ckpts=1'
    broken.train(one, iterations=6)
    (broken.work_dir / 'iter_4.pth').unlink()
    with monkeypatch.context() as patch:
        patch.setattr(keeping, 'write_file', kill)
        killed(broken.train, one, iterations=8)
    assert leftovers(broken.work_dir) == ['iter_2.pth', 'iter_6.pth', 'iter_8.pth']
    assert broken.train(one, iterations=10) == ([9, 10], [8, 10])
    assert leftovers(broken.work_dir) == ['iter_10.pth', 'iter_2.pth']


def test_a_kill_inside_validation(broken, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(ValLoop, 'run_iter', kill)
        killed(broken.train)
    assert broken.train(iterations=8) == ([7, 8], [6, 8])
    assert broken.train(iterations=8) == ([], []) and broken.train(iterations=10) == ([9, 10], [10])


def test_a_kill_inside_the_last_validation(broken, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(ValLoop, 'run_iter', kill)
        killed(broken.train)
    assert broken.train('default_hooks.logger.log_metric_by_epoch=True') == ([], [0])  # MMEngine's default
    assert broken.train() == ([], [])
    curves = read_curves(broken.work_dir)
    assert curves['loss'].steps == [1, 2, 3, 4, 5, 6]
    assert [row['iter'] for row in history(curves)['model']] == [2, 4, 6]


def test_a_kill_inside_a_validation_of_a_training_that_counts_epochs(whole, tmp_path, monkeypatch):
    """Its last validation belongs to the last iteration, though the log of MMEngine says an epoch there."""
    config = tmp_path / 'epochs.py'
    config.write_text(
        f"""
_base_ = {str(whole.config)!r}
train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=2, val_interval=1)
train_dataloader = dict(sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True))
default_hooks = dict(logger=dict(log_metric_by_epoch=True), checkpoint=dict(by_epoch=True, interval=1))
"""
    )
    words = [str(config), '--work-dir', str(tmp_path / 'run')]
    monkeypatch.setattr(ValLoop, 'run', validated_once(ValLoop.run))
    killed(train.main, [*words, '--cfg-options', 'experiment_name=epochs_1'])
    monkeypatch.undo()
    monkeypatch.setenv('LOCAL_RANK', '0')
    train.main([*words, '--resume', '--cfg-options', 'experiment_name=epochs_2'])
    curves = read_curves(tmp_path / 'run')
    steps = curves['loss'].steps
    assert [row['iter'] for row in history(curves)['model']] == [len(steps) // 2, len(steps)]


def validated_once(run):
    """A validation that is killed when it comes for the second time."""
    calls = itertools.count()
    return lambda loop: run(loop) if next(calls) == 0 else kill()


def test_an_earlier_checkpoint_is_gone_on_from_without_its_validation(broken):
    assert run(broken.config, broken.work_dir, '--resume', str(broken.work_dir / 'iter_2.pth')) == ([3, 4], [4])


def test_a_training_anew_forgets_what_was_validated(broken, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(ValLoop, 'run_iter', kill)
        killed(run, broken.config, broken.work_dir)
    assert [path.name for path in broken.work_dir.glob('*.pth')] == ['iter_2.pth'], 'the other run is moved aside'
    assert (broken.work_dir / 'old1/iter_4.pth').is_file() and (broken.work_dir / 'old1/last_validation').is_file()
    assert broken.train(iterations=4) == ([3, 4], [2, 4])


def saved(work_dir):
    return list(work_dir.glob('iter_*.pth'))


def iteration_of(checkpoint):
    return int(checkpoint.stem.split('_')[1])


@pytest.mark.slow
def test_kills_at_any_moment(broken):
    """SIGKILL after a random time, again and again: training never goes back to before a checkpoint it had.

    Every second time counts from a new checkpoint on, so that a loaded machine trains as well.
    """
    draw, reached = random.Random(0), 4
    often = 'default_hooks.checkpoint.interval=1', 'default_hooks.checkpoint.max_keep_ckpts=1'
    (broken.work_dir / 'iter_2.pth').unlink()
    for kill_number in range(int(os.environ.get('SSSD_KILLS', '10'))):
        child = os.fork()
        if child == 0:
            try:
                broken.train(*often, iterations=100000)
            finally:
                os._exit(1)
        deadline = time.monotonic() + 60 * (kill_number % 2)
        while time.monotonic() < deadline and not any(iteration_of(path) > reached for path in saved(broken.work_dir)):
            time.sleep(0.01)
        time.sleep(draw.uniform(0.2, 1.2))
        os.kill(child, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        newest = newest_checkpoint(broken.work_dir, say=pytest.fail)
        number = iteration_of(newest)
        assert number >= reached and len(saved(broken.work_dir)) <= 3
        reached = number
    print(f'{reached} iterations')
    assert reached > 4


def best(work_dir):
    return sorted(path.name for path in work_dir.glob('best_*'))


def test_the_best_checkpoint_is_not_lost_nor_kept_twice(broken, monkeypatch, tmp_path):
    hook = ['default_hooks.checkpoint.save_best=coco/bbox_mAP', 'default_hooks.checkpoint.rule=less']
    monkeypatch.setattr('mmengine.hooks.CheckpointHook.rule_map', dict(less=lambda new, old: True))
    broken.train(*hook)
    assert best(broken.work_dir) == ['best_coco_bbox_mAP_iter_6.pth']
    with monkeypatch.context() as patch:
        kill_at(patch, 'replace', 'best_coco_bbox_mAP_iter_8.pth')
        killed(broken.train, *hook, iterations=8)
    assert best(broken.work_dir) == ['best_coco_bbox_mAP_iter_6.pth']
    moved = Broken(broken.config, broken.work_dir.rename(tmp_path / 'moved'))
    assert moved.train(*hook, iterations=8) == ([], [8])
    assert best(moved.work_dir) == ['best_coco_bbox_mAP_iter_8.pth']
    assert moved.train(*hook, iterations=10) == ([9, 10], [10])
    assert best(moved.work_dir) == ['best_coco_bbox_mAP_iter_10.pth']


def test_a_full_disk(broken, capsys):
    """As the system's limit for the size of a file tells of it, in the same way as a full disk does."""
    size = broken.newest.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, hard))
    try:
        assert run_cli(lambda _: broken.train()) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith('sssd: error: ')]
    assert len(lines) == 1
    assert re.search(
        rf'^sssd: error: checkpoint {broken.work_dir}/iter_6.pth of \d+ bytes cannot be written \(File too large; \d+ '
        r'bytes are free on its disk\): make room or permit it, then call the same with --resume, as earlier .*\.$',
        lines[0],
    )
    assert leftovers(broken.work_dir) == ['iter_2.pth', 'iter_4.pth']
    assert broken.train() == ([5, 6], [6])


def test_a_work_directory_in_which_nothing_can_be_written(broken, tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    assert run_cli(train.main, [str(broken.config), '--work-dir', str(tmp_path / 'file' / 'run')]) == 2
    said = f'sssd: error: the work directory {tmp_path}/file/run cannot be written in (Not a directory): make room'
    assert said in capsys.readouterr().err
