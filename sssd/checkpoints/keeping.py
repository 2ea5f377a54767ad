"""What MMEngine's CheckpointHook keeps: an old checkpoint goes when the new one is on the disk, not before."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.dist import is_main_process

from sssd.checkpoints.files import HINT
from sssd.checkpoints.gathered import forget_gathered, keep_gathered
from sssd.checkpoints.random_states import keep_states
from sssd.whole_files import write_file

#: Key of the message hub: names of files that the hook was about to remove when the checkpoint was written.
REPLACED = 'replaced_checkpoints'


def before_train(original, hook, runner) -> None:
    """What ``CheckpointHook.before_train`` does; files that the message hub names are looked for where they are now.

    The work directory may have been moved, and a process may have been killed before it had removed a file.
    """
    original(hook, runner)
    known = runner.message_hub.runtime_info

    def here(path):
        """The place of a file of the hook in its present folder."""
        return hook.file_backend.join_path(hook.out_dir, os.path.basename(path))

    if getattr(hook, 'best_ckpt_path', None):
        hook.best_ckpt_path = here(hook.best_ckpt_path)
    for metric, path in getattr(hook, 'best_ckpt_path_dict', {}).items():
        hook.best_ckpt_path_dict[metric] = path and here(path)
    if known.get('last_ckpt'):  # or the best one of a validation that is run first would not be noted in it
        hook.last_ckpt = here(known['last_ckpt'])
    for name in known.get(REPLACED, ()) if is_main_process() else ():
        if hook.file_backend.isfile(here(name)):
            hook.file_backend.remove(here(name))


def save_with_step(original, hook, runner, step: int, meta: dict) -> None:
    """What ``CheckpointHook._save_checkpoint_with_step`` does, removing last; ``last_checkpoint`` gets a name alone."""
    keep_states(runner)
    keep_gathered(runner)
    with removals_last(hook, runner):
        original(hook, runner, step, meta)
        forget_gathered(runner)
        if is_main_process() and '://' not in str(hook.last_ckpt):
            relative = os.path.relpath(hook.last_ckpt, runner.work_dir)
            write_file(os.path.join(runner.work_dir, HINT), relative)


def save_best(original, hook, runner, metrics: dict) -> None:
    """What ``CheckpointHook._save_best_checkpoint`` does, removing last."""
    if hook.save_best:
        keep_states(runner)
    with removals_last(hook, runner):
        original(hook, runner, metrics)


class _RemovesLater:
    """A file backend that only notes what it is to remove.

    Args:
        backend: The backend that does all else.
        hub: The message hub, where the names are noted as well, thus in what is written meanwhile.
    """

    def __init__(self, backend, hub) -> None:
        self.backend, self.hub = backend, hub
        self.noted: list[tuple[str, Any]] = []
        hub.update_info(REPLACED, [])

    def __getattr__(self, name):
        return getattr(self.backend, name)

    def remove(self, path) -> None:
        """Note a file."""
        self.noted.append((str(path), self.backend.remove))
        self.hub.update_info(REPLACED, [os.path.basename(path) for path, _ in self.noted])

    def rmtree(self, path) -> None:
        """Note a folder, as DeepSpeed's checkpoints are."""
        self.noted.append((str(path), self.backend.rmtree))


@contextmanager
def removals_last(hook, runner) -> Iterator[None]:
    """Have a CheckpointHook remove what it removes inside after all is written.

    Args:
        hook: MMEngine's CheckpointHook.
        runner: Its Runner.
    """
    backend = hook.file_backend
    if isinstance(backend, _RemovesLater):  # inside of another: the best one is noted in the last
        yield
        return
    hook.file_backend = later = _RemovesLater(backend, runner.message_hub)
    try:
        yield
    finally:
        hook.file_backend = backend
    best = getattr(hook, 'best_ckpt_path_dict', None) or {'': getattr(hook, 'best_ckpt_path', None)}
    written = {str(path) for path in (hook.last_ckpt, *best.values())}
    for path, remove in later.noted:
        if path not in written:
            remove(path)
