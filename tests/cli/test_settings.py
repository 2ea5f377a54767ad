"""What the arguments make of a config."""

import argparse
import socket

import pytest
import torch
import torch.distributed as dist
from mmengine.config import Config

from sssd.cli import test as test_command
from sssd.cli import train
from sssd.cli._config import load_config
from sssd.cli._dist import process_group, use_cpu
from sssd.errors import UserError


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # load_config sets it when it is not there; set and removed again here, the test leaves no trace.
    monkeypatch.setenv('LOCAL_RANK', '0')


def _load(job, *args):
    return load_config(train.parse_args([str(job.config), *args]))


def test_the_work_dir_is_the_arguments_then_the_configs_then_the_files_name(job, make_job):
    named = make_job('named', extra="work_dir = 'from_config'\n")
    assert _load(named, '--work-dir', 'mine').work_dir == 'mine'
    assert _load(named).work_dir == 'from_config'
    assert _load(job).work_dir == 'work_dirs/tiny'


def test_options_are_typed_and_nested(job):
    cfg = _load(job, '--cfg-options', 'train_cfg.max_iters=7', 'model.backbone.depth=34', 'extra="[a,(1,2)]"')
    assert cfg.train_cfg.max_iters == 7
    assert cfg.model.backbone.depth == 34
    assert cfg.model.backbone.base_channels == 8
    assert cfg.extra == ['a', (1, 2)]


@pytest.mark.parametrize('gpu, dtype', [(True, None), (True, 'float16'), (False, 'float16')])
def test_float16_keeps_the_optimizer_and_a_loss_scale_of_the_config(job, monkeypatch, gpu, dtype):
    monkeypatch.setattr(train.torch.cuda, 'is_available', lambda: gpu)
    cfg = _load(job, '--cfg-options', 'optim_wrapper.loss_scale=512.', 'optim_wrapper.dtype=bfloat16')
    train.use_amp(cfg, dtype)
    assert cfg.optim_wrapper.type == 'sssd.Float16OptimWrapper' and 'dtype' not in cfg.optim_wrapper
    assert cfg.optim_wrapper.loss_scale == 512.0 and cfg.optim_wrapper.optimizer.lr == 0.001


@pytest.mark.parametrize('gpu, dtype', [(False, None), (False, 'bfloat16'), (True, 'bfloat16')])
def test_bfloat16_needs_no_gpu_and_no_loss_scale(job, monkeypatch, gpu, dtype):
    monkeypatch.setattr(train.torch.cuda, 'is_available', lambda: gpu)
    cfg = _load(job, '--cfg-options', 'optim_wrapper.loss_scale=512.')
    train.use_amp(cfg, dtype)
    assert cfg.optim_wrapper.type == 'sssd.BFloat16OptimWrapper'
    assert 'loss_scale' not in cfg.optim_wrapper and cfg.optim_wrapper.optimizer.lr == 0.001


def test_scaling_the_learning_rate_is_switched_on(make_job):
    job = make_job(extra='auto_scale_lr = dict(enable=False, base_batch_size=16)\n')
    cfg = _load(job)
    train.scale_lr(cfg, 'tiny.py')
    assert cfg.auto_scale_lr == dict(enable=True, base_batch_size=16)


@pytest.mark.parametrize('resume, expected', [('auto', (False, None)), (None, (None, None))])
def test_where_training_starts(job, resume, expected):
    cfg = _load(job)
    assert train.set_start(cfg, resume) is None
    assert (cfg.get('resume'), cfg.get('load_from')) == expected


def test_resuming_from_a_file_and_from_the_newest(job, tmp_path):
    checkpoint = tmp_path / 'iter_5.pth'
    torch.save(
        dict(meta=dict(iter=5, epoch=0), message_hub={}, optimizer={}, state_dict=dict(weight=torch.zeros(1))),
        checkpoint,
    )
    cfg = _load(job)
    assert train.set_start(cfg, str(checkpoint)) == str(checkpoint)
    assert (cfg.resume, cfg.load_from) == (True, str(checkpoint))
    cfg = _load(job, '--work-dir', str(tmp_path))
    assert train.set_start(cfg, 'auto') == str(checkpoint)
    assert (cfg.resume, cfg.load_from) == (True, None)


def test_nothing_to_go_on_from_leaves_the_start_in_force(job, tmp_path):
    start = tmp_path / 'start.pth'
    start.touch()
    cfg = _load(job, '--work-dir', str(tmp_path / 'new'), '--cfg-options', f'load_from={start}')
    assert train.set_start(cfg, 'auto') == str(start)
    assert (cfg.resume, cfg.load_from) == (False, str(start))


def test_tta_wraps_the_model_and_the_pipeline(job):
    cfg = _load(job)
    test_command.use_tta(cfg)
    assert cfg.model.type == 'DetTTAModel'
    assert cfg.model.module.type == 'RetinaNet'
    assert [step.type for step in cfg.test_dataloader.dataset.pipeline][-1] == 'TestTimeAug'


def test_drawing_is_handed_to_the_hook(job):
    cfg = _load(job)
    args = argparse.Namespace(config='tiny.py', show=True, show_dir='shown', wait_time=1.5)
    test_command.draw_predictions(cfg, args)
    hook = cfg.default_hooks.visualization
    assert (hook.draw, hook.show, hook.wait_time, hook.test_out_dir) == (True, True, 1.5, 'shown')


def test_on_cpus_the_wrapper_has_no_device():
    cfg = Config(dict(find_unused_parameters=False))
    use_cpu(cfg, 'pytorch')
    assert cfg.model_wrapper_cfg.device_ids is None
    assert cfg.model_wrapper_cfg.find_unused_parameters is False
    assert cfg.env_cfg.dist_cfg.backend == 'gloo'


def test_on_cpus_a_wrapper_of_the_config_is_kept():
    cfg = Config(dict(model_wrapper_cfg=dict(type='MMDistributedDataParallel', broadcast_buffers=True)))
    use_cpu(cfg, 'pytorch')
    assert cfg.model_wrapper_cfg == dict(type='MMDistributedDataParallel', broadcast_buffers=True, device_ids=None)


def test_more_processes_than_gpus(monkeypatch):
    monkeypatch.setattr(train.torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(train.torch.cuda, 'device_count', lambda: 1)
    for name, value in dict(RANK='1', WORLD_SIZE='2', LOCAL_RANK='1', MASTER_ADDR='127.0.0.1', MASTER_PORT='1').items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match='process 1 of this machine has no GPU'), process_group(Config(), 'pytorch'):
        pass


def test_the_group_is_started_before_and_ended_after(monkeypatch):
    monkeypatch.setattr(train.torch.cuda, 'is_available', lambda: False)
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    for name, value in dict(
        RANK='0', WORLD_SIZE='1', LOCAL_RANK='0', MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port)
    ).items():
        monkeypatch.setenv(name, value)
    with process_group(Config(), 'pytorch'):
        assert dist.get_backend() == 'gloo'
    assert not dist.is_initialized()
