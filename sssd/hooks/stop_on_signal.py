"""SIGTERM and Ctrl-C while training: the step is finished, a checkpoint written, and the process ends."""

import mmap
import multiprocessing
import os
import signal
import threading
import time
from contextlib import contextmanager
from logging import WARNING

import torch
import torch.distributed as dist
from mmengine.dist import broadcast_object_list, get_world_size
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import print_log

from sssd.registry import HOOKS

SIGNALS = (signal.SIGTERM, signal.SIGINT)
#: Seconds within which a signal that comes again is the same one: a terminal and a launcher both send it.
SAME = 0.3
#: Whether this process's handlers are ours: what is forked meanwhile gets others.
_taken = False


def _hold() -> None:
    """Before a fork: Python forgets a signal that reaches the new process before it is set up, so none may."""
    if _taken:
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def _release() -> None:
    """After a fork, in the process that forked."""
    if _taken:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _release_child() -> None:
    """After a fork, in the new process: SIGTERM ends it, as multiprocessing's pools rely on; SIGINT is its parent's."""
    global _taken
    if _taken:
        _taken = False
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_release_child)


class Stopped(SystemExit):
    """A training that was asked to end, and has saved; its code is 128 and the signal's number, 143 or 130."""


@HOOKS.register_module()
class StopOnSignalHook(Hook):
    """Ends training after the step in which SIGTERM or SIGINT came, with a checkpoint; a second signal ends it at once.

    Of several processes, one that gets the signal is enough: they agree on the step, one step later. Where gradients
    accumulate, the optimizer's step is waited for, since no checkpoint holds what has been gathered. A validation is
    left at once in a single process and finished in several; on resume it is run again.

    Raises:
        Stopped: Out of the training loop, on every rank.
    """

    priority = 'LOWEST'  # after whatever else happens in the iteration, CheckpointHook included

    def __init__(self) -> None:
        self.signal, self.came = 0, 0.0
        self.before, self.agreed, self.pending = {}, 0, None

    def before_run(self, runner) -> None:
        """Take the signals over, where this is the main thread."""
        global _taken
        if threading.current_thread() is threading.main_thread():
            _taken = True
            self.before = {number: signal.signal(number, self._note) for number in SIGNALS}

    def after_run(self, runner) -> None:
        """Give the signals back."""
        global _taken
        _taken = _taken and not self.before
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}

    def _note(self, number: int, frame) -> None:
        """The signals' handler."""
        now = time.monotonic()
        if self.signal and now - self.came > SAME:
            end_at_once(128 + number)
        if not self.signal:
            self.signal, self.came = number, now

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """End after this step if all processes know of the signal."""
        if not self.agreed:
            self.agreed = self.signal if get_world_size() == 1 else self._agree(runner)
        if self.agreed and has_stepped(runner.optim_wrapper):
            self._end(runner, self.agreed)

    def after_val_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Leave a validation in a single process; what it would have told is told on resume."""
        training = getattr(runner, '_train_loop', None)
        if self.signal and get_world_size() == 1 and hasattr(training, 'iter') and training.iter > 0:
            self._end(runner, self.signal, validating=True)

    def _agree(self, runner) -> int:
        """The largest signal that any process had before the last step."""
        if self.pending is not None:
            work, flag = self.pending
            work.wait()
            number = int(flag.item())
        else:
            number = 0
        flag = torch.tensor([float(self.signal)], device=next(runner.model.parameters()).device)
        self.pending = None if number else (dist.all_reduce(flag, op=dist.ReduceOp.MAX, async_op=True), flag)
        return number

    def _end(self, runner, number: int, validating: bool = False) -> None:
        done = runner.iter + (not validating)  # a validation comes when the iteration has been counted
        saved, name = save_now(runner, done), signal.Signals(number).name
        where = f'the state after iteration {done} is in {saved}' if saved else saved_before(runner)
        print_log(f'{name}: training stops; {where}. Go on with --resume.', logger='current', level=WARNING)
        self.after_run(runner)
        raise Stopped(128 + number)


class WorkerStart:
    """What a dataloader's worker does first: a signal to a whole group of processes must not end it before its parent.

    SIGINT is left to the parent, and SIGTERM too, until the parent says that it leaves. A worker whose parent is gone
    ends by itself.

    Args:
        first: The loader's own ``worker_init_fn``.
        leaving: One byte that the parent shares, above 0 once workers may be ended.
    """

    def __init__(self, first, leaving: mmap.mmap) -> None:
        self.first, self.leaving = first, leaving

    def __call__(self, worker: int) -> None:
        """Set the handlers, in place of PyTorch's, then do what the loader says."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._end)
        if self.first is not None:
            self.first(worker)

    def _end(self, number: int, frame) -> None:
        if self.leaving[0]:
            os._exit(0)  # as PyTorch's own; for any other status the parent would raise


@contextmanager
def shielded_workers(runner):
    """Within it, signals to a group of processes do not end the workers of a Runner's loaders, none of which is built.

    Workers that are forked, that is: others would not share what tells them that it is over.
    """
    build, leaving = runner.build_dataloader, mmap.mmap(-1, 1)

    def build_shielded(*args, **kwargs):
        """The loader; its workers, if they are forked, begin by :class:`WorkerStart`."""
        loader = build(*args, **kwargs)
        context = getattr(loader, 'multiprocessing_context', None) or multiprocessing
        if getattr(loader, 'num_workers', 0) and context.get_start_method() == 'fork':
            loader.worker_init_fn = WorkerStart(loader.worker_init_fn, leaving)
        return loader

    runner.build_dataloader = build_shielded
    try:
        yield
    finally:
        leaving[0] = 1
        runner.build_dataloader = build
        for hook in runner.hooks:
            if isinstance(hook, StopOnSignalHook):  # where training ended by an exception
                hook.after_run(runner)


def save_now(runner, done: int) -> str | None:
    """Have the run's CheckpointHook save the state after ``done`` iterations, unless it has; the file's name.

    None where there is no such hook, or it saves by epochs.
    """
    hook = next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)
    if hook is None or hook.by_epoch:
        return None
    name = hook.filename_tmpl.format(done)
    there = [hook.file_backend.isfile(hook.file_backend.join_path(hook.out_dir, name))]
    if get_world_size() > 1:  # saving is for all of them or for none, and the first one writes
        broadcast_object_list(there)
    if not there[0]:
        hook._save_checkpoint_with_step(runner, done, meta=dict(epoch=runner.epoch, iter=done))
    return name


def has_stepped(optim_wrapper) -> bool:
    """Whether no gradients wait for an optimizer step."""
    return optim_wrapper._inner_count % optim_wrapper._accumulative_counts == 0


def saved_before(runner) -> str:
    """What is said where nothing is saved in the middle: a loop of epochs goes on at an epoch's beginning."""
    return f'epoch {runner.epoch + 1} begins anew from the last checkpoint in {runner.work_dir}'


def end_at_once(code: int) -> None:
    """End this process and its workers, whatever they do."""
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(code)
