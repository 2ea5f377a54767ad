"""A validation that a kill interrupted is run when the training goes on."""

import os
from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, EpochBasedTrainLoop

from sssd.whole_files import write_file

#: File in a work directory: the iteration, or epoch, after which was validated last.
RECORD = 'last_validation'


class DueValidationHook(Hook):
    """Runs the validation that was due where a training goes on, unless it had been run.

    The checkpoint is written before the validation is, so it cannot tell: a small file in the work directory does.
    Where that is lost, the validation is run again.
    """

    priority = 'LOWEST'  # after CheckpointHook, which may save the best one

    def before_train(self, runner) -> None:
        """Run it, before the first iteration."""
        done, record = position(runner), Path(runner.work_dir) / RECORD
        missing = [_read(record) < done]
        broadcast_object_list(missing)  # one answer, also where the nodes do not share a disk
        if done == 0:
            if is_main_process():
                record.unlink(missing_ok=True)
        elif is_due(runner):
            if missing[0]:
                runner.logger.info(f'The validation after {done} is run, which had not come to its end.')
                # The validation's own line may say step 0, or its epoch; this one says to which iteration it belongs.
                runner.visualizer.add_scalars(dict(iter=runner.iter), step=runner.iter)
                runner.val_loop.run()
            else:  # an earlier one may have been gone on from: later validations are to come again
                self._note(runner, done)

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        """Note that it has been run."""
        if isinstance(runner._train_loop, BaseLoop):  # not of a validation alone
            self._note(runner, position(runner))

    def _note(self, runner, done):
        if is_main_process():
            write_file(os.path.join(runner.work_dir, RECORD), f'{done}\n')


def position(runner) -> int:
    """How many iterations, or epochs where the training loop counts these, are done."""
    loop = runner.train_loop
    return loop.epoch if isinstance(loop, EpochBasedTrainLoop) else loop.iter


def is_due(runner) -> bool:
    """Whether the training loop validates after what is done, before it goes on."""
    loop, done = runner.train_loop, position(runner)
    if runner.val_loop is None or not hasattr(loop, 'val_interval'):
        return False
    if hasattr(loop, '_decide_current_val_interval'):
        loop._decide_current_val_interval()
    end = loop.max_epochs if isinstance(loop, EpochBasedTrainLoop) else loop.max_iters
    return done >= loop.val_begin and (done % loop.val_interval == 0 or done == end)


def _read(record):
    """The number in a record; -1 where there is none."""
    try:
        return int(record.read_text())
    except (OSError, ValueError):
        return -1
