"""The scripts of tools/ on a tiny detector: real runs of a few iterations."""

import json
import pickle
import re
import socket
from pathlib import Path

import pytest
import torch


def _free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return str(probe.getsockname()[1])


def _iterations(done):
    """The iterations that a training told of."""
    return [int(number) for number in re.findall(r'^iter (\d+)/', done.stdout, flags=re.M)]


def _scalars(folder):
    """The lines of the newest scalars.json under a work directory."""
    newest = max(folder.glob('*/vis_data/scalars.json'), key=lambda path: path.stat().st_mtime)
    return [json.loads(line) for line in newest.read_text().splitlines()]


def test_train_writes_a_checkpoint_of_finite_weights(trained):
    checkpoint = torch.load(trained.checkpoint, map_location='cpu', weights_only=False)
    assert checkpoint['meta']['iter'] == 2
    assert all(value.isfinite().all() for value in checkpoint['state_dict'].values())
    losses = [line['loss'] for line in _scalars(trained.work_dir) if 'loss' in line]
    assert len(losses) == 2 and all(loss > 0 for loss in losses)


def test_train_goes_on_from_a_checkpoint(run_tool, trained, tmp_path):
    done = run_tool(
        'train.py',
        trained.config,
        '--work-dir',
        tmp_path / 'more',
        '--resume',
        trained.checkpoint,
        '--cfg-options',
        'train_cfg.max_iters=4',
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert _iterations(done) == [3, 4]
    assert (tmp_path / 'more' / 'iter_4.pth').is_file()


@pytest.mark.parametrize(
    'words, wrapper', [(['--amp'], 'BFloat16OptimWrapper'), (['--amp-dtype', 'float16'], 'Float16OptimWrapper')]
)
def test_train_in_mixed_precision_on_the_cpu(run_tool, job, words, wrapper):
    done = run_tool('train.py', job.config, '--work-dir', job.work_dir, *words, CUDA_VISIBLE_DEVICES='-1')
    assert done.returncode == 0, done.stderr[-2000:]
    assert _iterations(done) == [1, 2] and f"type='sssd.{wrapper}'" in job.log
    assert f'cpu, {"bfloat16" if wrapper.startswith("B") else "float16"}\n' in done.stdout
    checkpoint = torch.load(job.checkpoint, map_location='cpu', weights_only=False)
    assert ('loss_scaler' in checkpoint['optimizer']) == (wrapper == 'Float16OptimWrapper')
    assert all(value.dtype == torch.float32 for value in checkpoint['state_dict'].values() if value.is_floating_point())


def test_test_evaluates_and_writes_predictions(run_tool, trained, tmp_path):
    out = tmp_path / 'predictions.pkl'
    done = run_tool('test.py', trained.config, trained.checkpoint, '--work-dir', tmp_path / 'test', '--out', out)
    assert done.returncode == 0, done.stderr[-2000:]
    assert re.search(r'coco/bbox_mAP: \d\.\d+', done.stdout)
    predictions = pickle.loads(out.read_bytes())
    assert len(predictions) == 6
    assert {'bboxes', 'scores', 'labels'} <= set(predictions[0]['pred_instances'])


def test_test_draws_with_test_time_augmentation(run_tool, trained, tmp_path):
    done = run_tool(
        'test.py', trained.config, trained.checkpoint, '--work-dir', tmp_path / 'test', '--tta', '--show-dir', 'shown'
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'coco/bbox_mAP' in done.stdout
    assert len(list(tmp_path.glob('test/*/shown/*.png'))) == 6


@pytest.mark.parametrize('command', ['test', 'resume'])
def test_a_checkpoint_of_another_model_is_refused_before_it_is_used(run_tool, trained, tmp_path, command):
    deeper = ('--work-dir', tmp_path / 'work', '--cfg-options', 'model.backbone.depth=34')
    if command == 'test':
        done = run_tool('test.py', trained.config, trained.checkpoint, *deeper)
    else:
        done = run_tool('train.py', trained.config, '--resume', trained.checkpoint, *deeper)
    assert done.returncode == 2
    assert 'Traceback' not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f'sssd: error: checkpoint {trained.checkpoint} is not of the model in the config')
    assert 'backbone.layer1.2.conv1.weight' in last
    assert not _iterations(done)


def test_two_processes_train_on_a_machine_without_gpus(run_tool, job):
    done = run_tool(
        'dist_train.sh', job.config, '2', '--work-dir', job.work_dir, PORT=_free_port(), CUDA_VISIBLE_DEVICES='-1'
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert _iterations(done) == [1, 2]
    assert "backend='gloo'" in job.log and re.search(r'GPU number: 2', job.log)
    assert job.checkpoint.is_file()


def test_two_processes_test_on_a_machine_without_gpus(run_tool, trained, tmp_path, logs_of):
    done = run_tool(
        'dist_test.sh',
        trained.config,
        trained.checkpoint,
        '2',
        '--work-dir',
        tmp_path / 'test',
        PORT=_free_port(),
        CUDA_VISIBLE_DEVICES='-1',
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(re.findall(r'^coco/bbox_mAP: \d\.\d+$', done.stdout, flags=re.M)) == 1
    assert re.search(r'Iter\(test\) \[3/3\] .*coco/bbox_mAP', logs_of(tmp_path / 'test'))


@pytest.mark.skipif(not Path('/proc/self/task').is_dir(), reason='needs the list of threads that Linux keeps')
@pytest.mark.parametrize('tool', ['train', 'test'])
def test_no_thread_of_gloo_outlives_a_run(run_python, repo_root, trained, tmp_path, tool):
    checkpoint = [trained.checkpoint] if tool == 'test' else []
    done = run_python(
        '-m',
        'torch.distributed.run',
        '--nproc_per_node',
        '1',
        '--master_port',
        _free_port(),
        repo_root / 'tests/helpers/threads_left.py',
        tool,
        trained.config,
        *checkpoint,
        '--launcher',
        'pytorch',
        '--work-dir',
        tmp_path,
        CUDA_VISIBLE_DEVICES='-1',
    )
    left = [line for line in done.stdout.splitlines() if line.startswith('threads left:')]
    assert len(left) == 1 and 'gloo' not in left[0], done.stderr[-2000:]


@pytest.mark.parametrize('script, usage', [('dist_train.sh', 'CONFIG NPROC'), ('dist_test.sh', 'CHECKPOINT NPROC')])
def test_launchers_say_how_they_are_used(run_tool, script, usage):
    done = run_tool(script)
    assert done.returncode == 2
    assert usage in done.stderr
