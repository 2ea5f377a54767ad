"""Random states of every process in a checkpoint, for what draws between two steps; the steps themselves are seeded."""

import random
from logging import WARNING

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_rank
from mmengine.hooks import Hook
from mmengine.logging import print_log

#: Key of the message hub: the states of all processes, the first one's first.
STATES = 'random_states'


def states() -> dict:
    """States of Python, NumPy and PyTorch, on the CPU and on this process's GPU if it uses one."""
    return dict(
        python=random.getstate(),
        numpy=np.random.get_state(),
        torch=torch.get_rng_state(),
        cuda=torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None,
    )


def set_states(found: dict) -> None:
    """Set what :func:`states` gave."""
    random.setstate(found['python'])
    np.random.set_state(found['numpy'])
    torch.set_rng_state(found['torch'].cpu())
    if found['cuda'] is not None and torch.cuda.is_initialized():
        torch.cuda.set_rng_state(found['cuda'].cpu())


def keep_states(runner) -> None:
    """Note the states of all processes in the message hub, and so in what is saved next; all of them call this."""
    runner.message_hub.update_info(STATES, all_gather_object(states()))


class RandomStatesHook(Hook):
    """Sets a process's random states, on resume, to those of its checkpoint, after all that was built and begun."""

    priority = 'VERY_LOW'  # but before the validation that may be due

    def before_train(self, runner) -> None:
        """Set them; of another number of processes there may be none."""
        found = runner.message_hub.runtime_info.get(STATES)
        if not runner._resume or not found or get_rank() >= len(found):
            return
        try:
            set_states(found[get_rank()])
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            print_log(f'The random states of the checkpoint are of no use ({error}).', logger='current', level=WARNING)
