"""How much of each logged number is kept while training."""

from mmengine.hooks import Hook

#: Values of a number that are kept at least, more than any log line takes the mean of.
KEPT = 1000


class ShortHistoryHook(Hook):
    """Keeps of each number that a training logs as many of its last values as the log takes means of.

    MMEngine keeps all, copies them whenever one is added and writes them into every checkpoint. Where the log
    processor's ``custom_cfg`` takes an epoch or the whole training together, that is left as it is.
    """

    def before_train(self, runner) -> None:
        """Find how many are needed."""
        processor = runner.log_processor
        windows = [processor.window_size, *(entry.get('window_size') for entry in processor.custom_cfg)]
        self.most = max(KEPT, *windows) if all(isinstance(window, int) for window in windows) else None

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Bound all there are, those of this iteration too; each lets its oldest values go when it gets its next."""
        if self.most is not None:
            for name, values in runner.message_hub.log_scalars.items():
                if name.startswith('train/'):
                    values.max_length = self.most
