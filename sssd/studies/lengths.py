"""How long a run of a study trains, and which of its checkpoints stay, as config options."""

import math

from mmengine.config import Config

from sssd.errors import UserError
from sssd.hardware.recipe import in_iterations


def longer(config: Config, times: float) -> dict[str, object]:
    """Options that train a config so many times as long: its schedule in proportion, as many evaluations.

    Raises:
        UserError: If ``times`` is not above 0, or the config counts epochs.
    """
    iters = iterations_of(config)
    if not times > 0:
        raise UserError(f'iterations_times is {times}, but it has to be above 0.')
    options = in_iterations(config, times)
    evaluations = math.ceil(iters / interval_of(config))
    return {**options, 'train_cfg.val_interval': math.ceil(options['train_cfg.max_iters'] / evaluations)}


def kept(config: Config) -> dict[str, object]:
    """Options with which a checkpoint of every evaluation stays, and says which, so that the best one can be tested.

    Raises:
        UserError: If the config counts epochs.
    """
    iterations_of(config)
    known, hooks = config.get('default_hooks') or {}, 'default_hooks'
    types = dict(checkpoint='CheckpointHook', logger='LoggerHook')
    return {
        **{f'{hooks}.{name}.type': kind for name, kind in types.items() if name not in known},
        f'{hooks}.checkpoint.by_epoch': False,
        f'{hooks}.checkpoint.interval': interval_of(config),
        f'{hooks}.checkpoint.max_keep_ckpts': -1,
        f'{hooks}.logger.log_metric_by_epoch': False,
    }


def iterations_of(config: Config) -> int:
    """Iterations of a training.

    Raises:
        UserError: If the config counts epochs.
    """
    iters = (config.get('train_cfg') or {}).get('max_iters')
    if not iters:
        raise UserError(
            f'{config.filename} does not count its training in iterations, which a study with a test part or with '
            'iterations_times needs: give it an IterBasedTrainLoop (train_cfg.max_iters).'
        )
    return iters


def interval_of(config: Config) -> int:
    """Iterations between evaluations; MMEngine's default is 1000, and there is one at the end in any case."""
    return min(config.train_cfg.get('val_interval', 1000), config.train_cfg.max_iters)
