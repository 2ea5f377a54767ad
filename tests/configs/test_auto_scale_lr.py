"""--auto-scale-lr and recipes know of every config which total batch its learning rate is meant for."""

from types import SimpleNamespace

import pytest
import torch
from config_files import CONFIGS, read
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner

from sssd.cli.train import scale_lr
from sssd.hardware.memory import Memory
from sssd.hardware.recipe import make_recipe

FILES = sorted(
    str(path.relative_to(CONFIGS))
    for folder in ('sed', 'sssd', 'quickstart', 'bccd')
    for path in (CONFIGS / folder).glob('*.py')
    if not path.name.endswith('study.py')
)


@pytest.mark.parametrize('name', FILES)
def test_the_total_batch_is_that_of_the_config_s_gpus(name):
    """Eight for the papers' configs, one for those that train small detectors."""
    cfg, gpus = read(name), 8 if name.startswith(('sed/', 'sssd/')) else 1
    assert cfg.auto_scale_lr.base_batch_size == gpus * cfg.train_dataloader.batch_size
    assert not cfg.auto_scale_lr.get('enable', False)
    small = Memory(weights=0, gradients=0, optimizer=0, unit=0, unit_images=1, size=(1, 1))
    assert make_recipe(cfg, small, gpus, 80).options == {}


@pytest.mark.parametrize('name', FILES)
def test_the_learning_rate_is_scaled(name):
    """Twice the processes, twice the rate."""
    cfg, gpus = read(name), 8 if name.startswith(('sed/', 'sssd/')) else 1
    switched = SimpleNamespace(auto_scale_lr=cfg.auto_scale_lr, get=lambda key: cfg.auto_scale_lr)
    scale_lr(switched, name)
    runner = SimpleNamespace(
        _train_dataloader=cfg.train_dataloader,
        world_size=2 * gpus,
        param_schedulers=[],
        logger=MMLogger.get_current_instance(),
    )
    rate = cfg.optim_wrapper.optimizer.lr
    wrapper = OptimWrapper(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate))
    Runner.scale_lr(runner, wrapper, switched.auto_scale_lr)
    assert wrapper.get_lr()['lr'] == [pytest.approx(2 * rate)]
