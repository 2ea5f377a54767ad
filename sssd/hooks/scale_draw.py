"""The draw of s, the number of halvings of the scaled view."""

import random

from mmengine.dist import broadcast_object_list
from mmengine.hooks import Hook

from sssd.errors import UserError
from sssd.hooks.ema_teacher import unwrap
from sssd.registry import HOOKS


@HOOKS.register_module()
class ScaleDrawHook(Hook):
    """Draws s ~ U{1..S} before every iteration (Sec. 3.1).

    The draw is a function of seed and iteration alone: the same on every rank, and after a resume.

    Args:
        max_shift: S; the down-sampling rate is 2**s. 1 is the paper's choice (Table 8).
    """

    def __init__(self, max_shift: int = 1) -> None:
        if max_shift < 1:
            raise UserError(
                f'ScaleDrawHook: max_shift is {max_shift}, but S counts halvings and is at least 1; set '
                'lambda_s=0 to train without scale consistency.'
            )
        self.max_shift = max_shift
        self.seed = None

    def before_train(self, runner) -> None:
        """Take the seed of rank 0; with ``diff_rank_seed`` every rank has another one."""
        seeds = [runner.seed]
        broadcast_object_list(seeds)
        self.seed = seeds[0]

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Set the model's ``shift``."""
        unwrap(runner.model).shift = draw(self.seed, runner.iter, self.max_shift)


def draw(seed: int, iteration: int, max_shift: int) -> int:
    """s of one iteration, uniform over 1..max_shift."""
    return random.Random(f'scale {seed} {iteration}').randint(1, max_shift)
