"""A schedule of the config that differs from the one a run was interrupted under: told, and by an option taken."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from logging import WARNING
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import print_log

from sssd.hooks.progress import PEAK_LR, learning_rate

#: What a scheduler's state says of its progress; all else is what the config said.
MOVING = ('last_step', '_global_step', '_last_value', 'verbose', 'best', 'num_bad_epochs', 'cooldown_counter')


class ScheduleHook(Hook):
    """Compares, where a run goes on, the config's schedule of learning rates with that of the checkpoint.

    MMEngine restores the old one and says nothing of it.

    Args:
        new: Whether the config's schedule is taken, as if the run had had it from its beginning; the weights and the
            optimizer's memory are those of the checkpoint.
    """

    def __init__(self, new: bool = False) -> None:
        self.new = new

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Tell of a difference, or replace what the Runner is about to restore."""
        if not runner._resume or 'optimizer' not in checkpoint:
            return
        here, saved = listed(runner.param_schedulers), listed(checkpoint.get('param_schedulers'))
        optimizer = checkpoint['optimizer']
        base = optimizer.get('base_param_settings')  # where parameters have factors on the rate, the rate itself
        saved_groups = [*optimizer.get('param_groups', ()), *([base] if base else [])]
        groups = saved_groups, runner.optim_wrapper.param_groups
        if here or saved:
            difference = differences([scheduler.state_dict() for scheduler in here], saved)
        else:
            difference = constant_differences(*groups)
        if not difference:
            return
        if not self.new:
            print_log(
                f'The schedule in the config is not that of the checkpoint ({"; ".join(difference)}): the old one goes '
                'on; to train by the new one add --new-schedule.',
                logger='current',
                level=WARNING,
            )
            return
        meta = checkpoint['meta']
        peak = replay(here, meta['iter'], meta['epoch'], lambda: learning_rate(runner.optim_wrapper))
        checkpoint['message_hub']['runtime_info'][PEAK_LR] = peak
        restored = [scheduler.state_dict() for scheduler in here]
        if isinstance(checkpoint.get('param_schedulers'), Mapping):
            (name,) = checkpoint['param_schedulers']
            checkpoint['param_schedulers'] = {name: restored}
        else:
            checkpoint['param_schedulers'] = restored
        for old, now in zip(*groups):
            for name in {scheduler.param_name for scheduler in here} or {'lr'}:
                old[name] = now[name]
        print_log(f"The config's schedule is taken ({'; '.join(difference)}).", logger='current', level=WARNING)


def listed(schedulers: Sequence | Mapping | None) -> list:
    """Schedulers, or their states, as one list; MMEngine also has them by the name of an optimizer."""
    if isinstance(schedulers, Mapping):
        return [scheduler for part in schedulers.values() for scheduler in part]
    return list(schedulers or [])


def differences(here: Sequence[Mapping[str, Any]], saved: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the states of a config's schedulers and the saved ones differ in, besides their progress, in words."""
    if len(here) != len(saved):
        return [f'{len(saved)} schedulers there, {len(here)} here']
    found = []
    for number, (mine, old) in enumerate(zip(here, saved)):
        for key in sorted((set(mine) | set(old)) - set(MOVING)):
            if mine.get(key) != old.get(key):
                found.append(f'{key.strip("_")} of scheduler {number}: {told(old.get(key))} -> {told(mine.get(key))}')
    return found


def constant_differences(saved: Sequence[Mapping[str, Any]], here: Sequence[Mapping[str, Any]]) -> list[str]:
    """What two optimizers' groups of parameters differ in where no schedule moves their learning rates, in words."""
    rates = [(old['lr'], now['lr']) for old, now in zip(saved, here) if old['lr'] != now['lr']]
    return [f'learning rate: {told(rates[0][0])} -> {told(rates[0][1])}'] if rates else []


def told(value: Any) -> str:
    """A value for a sentence; a milestone Counter by its keys, a long list by its first entries."""
    if isinstance(value, Mapping):
        value = list(value)
    if isinstance(value, (list, tuple)) and len(set(map(str, value))) == 1:
        value = value[0]
    text = str(value)
    return text if len(text) <= 40 else text[:37] + '...'


def replay(schedulers: Sequence, iterations: int, epochs: int, rate: Callable[[], float]) -> float:
    """Take fresh schedulers to where a run is, by their own steps; the largest ``rate()`` on the way."""
    peak = rate()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # no optimizer steps between
        for number in range(max(iterations, epochs)):
            for scheduler in schedulers:
                if number < (epochs if scheduler.by_epoch else iterations):
                    scheduler.step()
            peak = max(peak, rate())
    return peak
