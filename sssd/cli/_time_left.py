"""The time that a training still takes, where its first iterations are the shorter ones."""

from mmengine.hooks import Hook

from sssd.studies.cost import Cost, Pace


class TimeLeftHook(Hook):
    """Puts right the ETA of MMEngine, the mean of all iterations so far times those to come, in and after a burn-in.

    Args:
        cost: What the iterations cost.
    """

    priority = 55  # after IterTimerHook, before LoggerHook

    def __init__(self, cost: Cost) -> None:
        self.cost, self.pace = cost, Pace(cost)

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Measure an iteration."""
        done, hub = runner.iter + 1, runner.message_hub
        if not self.cost.burn_in or 'train/time' not in hub.log_scalars:
            return
        self.pace.add(done, hub.get_scalar('train/time').current())
        hub.update_info('eta', self.pace.between(done, runner.max_iters))
