"""A tiny RetinaNet on a tiny data set, and a way to run commands on it."""

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import elastic
import pytest
import shipped
import torch

CONFIG = """
default_scope = 'mmdet'
custom_imports = dict(imports=['sssd'])
randomness = dict(seed=0)
env_cfg = dict(mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))
log_level = 'INFO'
norm = dict(type='BN', requires_grad=True)
model = dict(
    type='RetinaNet',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[123.7, 116.3, 103.5], std=[58.4, 57.1, 57.4], bgr_to_rgb=True,
        pad_size_divisor=32),
    backbone=dict(
        type='ResNet', depth=18, base_channels=8, num_stages=4, out_indices=(1, 2, 3), norm_cfg=norm,
        style='pytorch'),
    neck=dict(type='FPN', in_channels=[16, 32, 64], out_channels=16, num_outs=3),
    bbox_head=dict(
        type='RetinaHead', num_classes={num_classes}, in_channels=16, stacked_convs=1, feat_channels=16,
        anchor_generator=dict(
            type='AnchorGenerator', octave_base_scale=4, scales_per_octave=1, ratios=[1.0], strides=[8, 16, 32]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        loss_cls=dict(type='FocalLoss', use_sigmoid=True, loss_weight=1.0),
        loss_bbox=dict(type='L1Loss', loss_weight=1.0)),
    train_cfg=dict(
        assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0, ignore_iof_thr=-1),
        sampler=dict(type='PseudoSampler'), allowed_border=-1, pos_weight=-1, debug=False),
    test_cfg=dict(
        nms_pre=100, min_bbox_size=0, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=10))
load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)]
resize = [dict(type='Resize', scale=(64, 64), keep_ratio=True)]
meta_keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
data = dict(
    type='CocoDataset', data_root={root!r}, ann_file='annotations.json', data_prefix=dict(img='images/'),
    metainfo=dict(classes={classes!r}))
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(data, pipeline=load + resize + [dict(type='PackDetInputs')]))
test_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(data, test_mode=True, pipeline=load + resize + [dict(type='PackDetInputs', meta_keys=meta_keys)]))
test_evaluator = dict(type='CocoMetric', ann_file={ann_file!r}, metric='bbox')
test_cfg = dict(type='TestLoop')
train_cfg = dict(type='IterBasedTrainLoop', max_iters=2)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.001))
param_scheduler = []
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1), checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2),
    visualization=dict(type='DetVisualizationHook'))
log_processor = dict(by_epoch=False)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='DetLocalVisualizer', vis_backends=vis_backends)
"""
#: Appended to :data:`CONFIG`: the detector is guided, its test images have their boxes in original pixels, and six
#: iterations have a phase without the distance, one before and one after the learning rate decays.
GUIDED = """
model = dict(
    type='sssd.GuidedDetector', detector=model, guide=dict(type='LGD'),
    distance=dict(type='FeatureDistance', kind='js'))
test_dataloader = dict(
    test_dataloader, dataset=dict(data, test_mode=True, pipeline=[
        load[0], *resize, load[1], dict(type='PackDetInputs', meta_keys=meta_keys)]))
custom_hooks = [dict(
    type='sssd.LambdaScheduleHook', student_grad=1.0,
    lambda_=dict(type='Ramp', begin=2, after=dict(type='StepAtDecay', start=20.0, end=40.0)))]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=6)
param_scheduler = [dict(type='MultiStepLR', milestones=[4], gamma=0.1, by_epoch=False)]
vis_backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
visualizer = dict(type='DetLocalVisualizer', vis_backends=vis_backends)
"""


@dataclass(frozen=True)
class Job:
    """A config file and the folder that its training writes in."""

    config: Path
    work_dir: Path

    @property
    def log(self):
        """What the log files of its starts say."""
        return logs_of(self.work_dir)

    @property
    def checkpoint(self):
        """The checkpoint after the two iterations of the config."""
        return self.work_dir / 'iter_2.pth'

    @property
    def last_checkpoint(self):
        """The checkpoint after the six iterations of a guided config."""
        return self.work_dir / 'iter_6.pth'


def write_job(folder, coco, num_classes=None, extra=''):
    """Write the tiny config over a data set; ``extra`` is appended to it."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / 'tiny.py'
    text = CONFIG.replace('{num_classes}', str(num_classes or len(coco.classes)))
    for name, value in (('root', f'{coco.root}/'), ('ann_file', str(coco.ann_file)), ('classes', coco.classes)):
        text = text.replace(f'{{{name}!r}}', repr(value))
    config.write_text(text + extra)
    return Job(config, folder / 'work')


@pytest.fixture(name='write_job', scope='session')
def write_job_fixture():
    """The function :func:`write_job`."""
    return write_job


def logs_of(work_dir):
    """What the log files of all starts in a work directory say, oldest first."""
    return ''.join(path.read_text() for path in sorted(Path(work_dir).glob('*/*.log')))


@pytest.fixture(name='logs_of', scope='session')
def logs_of_fixture():
    """The function :func:`logs_of`."""
    return logs_of


def run_command(*command, cwd, **env):
    """Run a command in another process; returns it with its output as text."""
    settings = dict(os.environ, OMP_NUM_THREADS='1', MKL_NUM_THREADS='1', PYTHON=sys.executable) | env
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, cwd=cwd, env=settings, timeout=300, check=False
    )


@pytest.fixture
def run_tool(repo_root, tmp_path, forked_python):
    """Run a script of ``tools/``: ``run_tool('train.py', config, ...)``; a launcher starts the real Python."""

    def run(name, *args, **env):
        script = repo_root / 'tools' / name
        start = [forked_python, script] if name.endswith('.py') else [script]
        return run_command(*start, *args, cwd=tmp_path, **env)

    return run


@pytest.fixture
def run_python(repo_root, forked_python):
    """Run Python with these arguments from the root of the checkout: ``run_python('-m', 'sssd', ...)``."""

    def run(*args, **env):
        return run_command(forked_python, *args, cwd=repo_root, PYTHONPATH=str(repo_root), **env)

    return run


@pytest.fixture
def make_job(tmp_path, tiny_coco):
    """The function :func:`write_job` over the tiny data set."""

    def make(name='job', **kwargs):
        return write_job(tmp_path / name, tiny_coco, **kwargs)

    return make


@pytest.fixture
def job(make_job):
    """A tiny training that has not run yet."""
    return make_job()


@pytest.fixture
def make_guided(make_job):
    """A tiny guided training on the tiny data set that has not run yet; ``extra`` is appended to its config."""

    def make(name='guided', extra=''):
        return make_job(name, extra=GUIDED + extra)

    return make


@pytest.fixture(scope='session')
def trained(tmp_path_factory, make_tiny_coco, repo_root, forked_python):
    """A tiny training of two iterations that ``tools/train.py`` did; once for all tests."""
    folder = tmp_path_factory.mktemp('trained')
    job = write_job(folder, make_tiny_coco(folder / 'coco'))
    done = run_command(forked_python, repo_root / 'tools/train.py', job.config, '--work-dir', job.work_dir, cwd=folder)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return job


@pytest.fixture(scope='session')
def trained_guided(tmp_path_factory, make_tiny_coco, repo_root, forked_python):
    """A guided training of six iterations; once for all tests."""
    folder = tmp_path_factory.mktemp('trained_guided')
    job = write_job(folder, make_tiny_coco(folder / 'coco'), extra=GUIDED)
    done = run_command(forked_python, '-m', 'sssd', 'train', job.config, '--work-dir', job.work_dir, cwd=repo_root)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return job


@pytest.fixture(scope='session')
def undisturbed(tmp_path_factory, make_tiny_coco, repo_root):
    """A job of six iterations that may lose a process, and did not: two local processes; once for all tests."""
    folder = tmp_path_factory.mktemp('undisturbed')
    job = write_job(folder, make_tiny_coco(folder / 'coco'), extra=elastic.SED)
    done = run_command(
        repo_root / 'tools/dist_train.sh',
        job.config,
        '2',
        '--work-dir',
        job.work_dir,
        cwd=folder,
        PYTHONPATH=elastic.write_hook(folder),
        PORT=free_port(),
        CUDA_VISIBLE_DEVICES='-1',
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return job


def free_port():
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return str(probe.getsockname()[1])


@pytest.fixture(name='free_port')
def free_port_fixture():
    """The function :func:`free_port`."""
    return free_port


@pytest.fixture(scope='session')
def assert_same_weights():
    """A function that compares the last checkpoints of two elastic jobs, bit by bit."""

    def compare(first, second):
        first, second = (
            torch.load(folder / 'iter_6.pth', map_location='cpu', weights_only=False)['state_dict']
            for folder in (first, second)
        )
        assert first.keys() == second.keys()
        assert all(torch.equal(value, second[name]) for name, value in first.items())

    return compare


@pytest.fixture(scope='session')
def shipped_job(tmp_path_factory, make_tiny_coco, repo_root, forked_python):
    """A training of SED with two validations of teacher and student; once for all tests."""
    folder = tmp_path_factory.mktemp('shipped')
    job = write_job(folder, make_tiny_coco(folder / 'coco'), extra=shipped.SED)
    done = run_command(forked_python, '-m', 'sssd', 'train', job.config, '--work-dir', job.work_dir, cwd=repo_root)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return job
