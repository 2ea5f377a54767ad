"""A config's schedule for other GPUs than it was made for, by one rule.

B is the total batch that the config's learning rate is meant for (``auto_scale_lr.base_batch_size``), b the images that
it gives each GPU for a step, those of all passes where it accumulates gradients, B / b the number of its GPUs.

1. Each GPU takes b images a step. If it holds more, b is doubled as long as it holds that and the total is at most B.
   If it does not hold b, it takes the largest part of b that it holds, and gradients accumulate over the parts.
2. The learning rate is multiplied by the new total batch over B, and so are the least and largest ones of a schedule
   (``eta_min``, ``eta_max``); the number of steps is divided by it: as many images.
3. Everything else that is counted in iterations goes with their number: warm-up, milestones, schedules of loss
   weights, validation, checkpoints. MMEngine counts every forward pass as an iteration, so accumulation adds to it.
4. The EMA teacher's alpha becomes alpha ** (total batch / B): it forgets at the same rate in images.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from mmengine.config import Config

from sssd.errors import UserError
from sssd.hardware.memory import Memory, unit_of

#: The part of a GPU's memory that an estimate may fill.
FILL = 0.9
#: Keys that count iterations, by part of the config; a schedule's ``end`` among the hooks is a value.
ITERATIONS = dict(
    param_scheduler=('begin', 'end', 'milestones', 'T_max', 'step_size', 'periods', 'total_steps'),
    custom_hooks=('burn_in', 'until', 'begin', 'length'),
)
#: Keys of a schedule that are learning rates.
RATES = ('eta_min', 'eta_max')


class DoesNotFit(UserError):
    """Not even the smallest batch fits in such a GPU."""


@dataclass(frozen=True)
class Recipe:
    """What to change.

    Args:
        gpus: Number of GPUs.
        batch: Images of one forward pass on one GPU.
        accumulate: Forward passes of one optimizer step.
        total: Images of one optimizer step on all GPUs.
        lr: Learning rate.
        iterations: Forward passes of the training on one GPU.
        memory: Estimated GiB of one GPU.
        options: All changes, as for ``--cfg-options``.
    """

    gpus: int
    batch: int
    accumulate: int
    total: int
    lr: float
    iterations: int
    memory: float
    options: dict[str, str]


def make_recipe(cfg: Config, memory: Memory, gpus: int, gigabytes: float) -> Recipe:
    """The recipe of a config for so many GPUs of so much memory.

    Raises:
        DoesNotFit: If not even the smallest batch fits.
        UserError: If the config does not name its total batch or its learning rate, or counts epochs.
    """
    if not (cfg.get('train_cfg') or {}).get('max_iters'):
        raise UserError(
            'the config counts its training in epochs, which a recipe does not: give one with an '
            'IterBasedTrainLoop (train_cfg.max_iters).'
        )
    base = (cfg.get('auto_scale_lr') or {}).get('base_batch_size')
    if not base:
        raise UserError(
            'the config does not say which total batch its learning rate is meant for: set '
            'auto_scale_lr=dict(base_batch_size=N).'
        )
    if not cfg.optim_wrapper.optimizer.get('lr'):
        raise UserError('the optimizer of the config names no learning rate: set optim_wrapper.optimizer.lr.')
    passes = cfg.optim_wrapper.get('accumulative_counts', 1)
    step = cfg.train_dataloader.batch_size * passes
    batch, accumulate = share(step, sum(unit_of(cfg)), base, memory, gpus, gigabytes)
    total = gpus * batch * accumulate
    longer = base / (gpus * batch * passes)
    lr = cfg.optim_wrapper.optimizer.lr * total / base
    options = {'train_dataloader.batch_size': batch}
    if 'batch_size' in cfg.train_dataloader.sampler:
        options['train_dataloader.sampler.batch_size'] = batch
    options['optim_wrapper.optimizer.lr'] = lr
    if cfg.auto_scale_lr.get('enable'):
        options['auto_scale_lr.enable'] = False  # it would be scaled a second time
    options['optim_wrapper.accumulative_counts'] = accumulate
    options.update(in_iterations(cfg, longer))
    options.update(moving_average(cfg, total / base))
    options.update(rates(cfg, total / base))
    present = {key: value for key, value in options.items() if value != at(cfg, key, 1)}
    return Recipe(
        gpus,
        batch,
        accumulate,
        total,
        lr,
        options['train_cfg.max_iters'],
        memory.total(batch, gpus),
        {key: written(value) for key, value in present.items()},
    )


def share(batch: int, unit: int, base: int, memory: Memory, gpus: int, gigabytes: float) -> tuple[int, int]:
    """Images of one forward pass on one GPU, and how many passes make its step."""

    def fits(images: int) -> bool:
        """Whether a GPU holds so many."""
        return memory.total(images, gpus) <= FILL * gigabytes

    if fits(batch):
        while gpus * batch * 2 <= base and fits(batch * 2):
            batch *= 2
        return batch, 1
    parts = [part for part in range(2, batch // unit + 1) if batch % (part * unit) == 0 and fits(batch // part)]
    if not parts:
        needed = memory.total(unit, gpus)
        raise DoesNotFit(
            f'{gigabytes:g} GB do not hold a batch of {unit}, which needs {needed:.1f} GiB by the '
            'estimate: use larger GPUs, smaller images, or sssd.RecomputeHook, which it does not count.'
        )
    return batch // parts[0], parts[0]


def in_iterations(cfg: Config, longer: float) -> dict[str, object]:
    """All that counts iterations, times ``longer``."""
    keys = ['train_cfg.max_iters', 'train_cfg.val_interval', 'default_hooks.checkpoint.interval']
    for part, names in ITERATIONS.items():
        keys += [key for key in walk(cfg.get(part, []), part) if key.split('.')[-1] in names]
    found = {key: at(cfg, key, None) for key in keys}
    options = {key: stretched(value, longer) for key, value in found.items() if value is not None}
    # A warm-up of one iteration would never end: MMEngine's counts the steps between its first and its last.
    for key, value in options.items():
        if key.startswith('param_scheduler') and key.endswith('.end'):
            options[key] = max(value, 2)
    return options


def stretched(value, longer: float):
    """A number of iterations, or a list of them, times ``longer``; an interval stays at least 1."""
    if isinstance(value, (list, tuple)):
        return [stretched(part, longer) for part in value]
    return max(round(value * longer), 1) if value else value


def moving_average(cfg: Config, larger: float) -> dict[str, object]:
    """alpha of the EMA teacher to the power of ``larger``."""
    found = {}
    for number, hook in enumerate(cfg.get('custom_hooks', [])):
        if hook['type'].split('.')[-1] != 'EMATeacherHook' or larger == 1:
            continue
        if 'alpha' not in hook:
            raise UserError('name the alpha of EMATeacherHook in the config, so that a recipe can change it.')
        key, alpha = f'custom_hooks.{number}.alpha', hook['alpha']
        names = (
            [f'{key}.{name}' for name in ('start', 'end', 'value') if name in alpha]
            if isinstance(alpha, dict)
            else [key]
        )
        found.update({name: round(at(cfg, name, None) ** larger, 6) for name in names})
    return found


def rates(cfg: Config, larger: float) -> dict[str, object]:
    """The rates that schedules name beside the optimizer's, times ``larger``."""
    keys = walk(cfg.get('param_scheduler', []), 'param_scheduler')
    found = {key: at(cfg, key, None) for key in keys if key.split('.')[-1] in RATES}
    return {key: value * larger for key, value in found.items() if value}


def walk(node, prefix: str) -> Iterator[str]:
    """Dotted keys of all leaves and lists of numbers below a node."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, (list, tuple)) else ()
    for name, value in children:
        yield f'{prefix}.{name}'
        yield from walk(value, f'{prefix}.{name}')


def at(cfg: Config, key: str, default):
    """The value of a dotted key."""
    node = cfg
    for name in key.split('.'):
        if isinstance(node, (list, tuple)):
            node = node[int(name)]
        elif name in node:
            node = node[name]
        else:
            return default
    return node


def written(value) -> str:
    """A value as ``--cfg-options`` reads it."""
    if isinstance(value, list):
        return '"[' + ','.join(map(str, value)) + ']"'
    return f'{value:.6g}' if isinstance(value, float) else str(value)
