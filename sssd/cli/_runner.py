"""Build a Runner and run it, with a missing file told in one sentence."""

import errno
import os
import re
import tempfile
from collections.abc import Sequence
from contextlib import contextmanager

import cv2
from mmengine.config import Config
from mmengine.dist import all_gather_object, master_only
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from sssd.checks.checkpoint import CheckpointGuard
from sssd.checks.data import check_data
from sssd.cli._building import unknown_names_explained
from sssd.cli._progress import ProgressHook
from sssd.cli._quiet import Screen
from sssd.errors import LocalError, UserError

#: What the system says where there is no room, or no permission to write.
NOT_WRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def build_runner(
    cfg: Config,
    *,
    checkpoint: str | None = None,
    strict: bool = True,
    resume: bool = False,
    screen: Screen | None = None,
    tests: bool = False,
) -> Runner:
    """The Runner of a config.

    Args:
        cfg: The complete config.
        checkpoint: The checkpoint that the Runner is going to load, if any.
        strict: Whether the checkpoint has to fit the model in every key.
        resume: Whether a training goes on from it.
        screen: The quiet terminal that is told of its progress; None leaves all to MMEngine.
        tests: Whether it tests: its config is then written beside its logs, and the training's in the work directory
            stays.

    Raises:
        UserError: If the processes found different checkpoints, there is no such type of Runner, or the work directory
            cannot be written in.
    """
    kind = RUNNERS.get(cfg.runner_type) if 'runner_type' in cfg else Runner
    if kind is None:
        raise UserError(f'runner_type is {cfg.runner_type!r}, which is not registered: correct it or leave it out.')
    require_writable(cfg.work_dir)
    kind = _TestRunner.over(kind) if tests else kind
    runner = (kind if screen is None else screen.runner_type(kind)).from_cfg(cfg)
    if screen is not None and screen.is_first:
        runner.register_hook(ProgressHook(screen, checkpoint))
    found = all_gather_object(None if checkpoint is None else os.path.basename(checkpoint))
    if len(set(found)) > 1:
        raise UserError(
            f'the processes found different checkpoints to go on from ({", ".join(map(str, found))}): put '
            f'the work directory {cfg.work_dir} on a disk that all nodes share.'
        )
    if checkpoint is not None:
        runner.register_hook(CheckpointGuard(checkpoint, strict, resume))
    return runner


class _TestRunner(Runner):
    """A Runner that writes its config beside its logs."""

    @classmethod
    def over(cls, kind: type[Runner]) -> type[Runner]:
        """The same over another type of Runner."""
        return type(kind.__name__, (cls, kind), {})

    @master_only
    def dump_config(self) -> None:
        """Write the config into the folder of this start."""
        name = os.path.basename(self.cfg.filename or f'{self.timestamp}.py')
        self.cfg.dump(os.path.join(self.log_dir, name))


def require_writable(work_dir: str) -> None:
    """Make a work directory, and refuse one in which no file can be made.

    Raises:
        UserError: Naming it and the reason.
    """
    try:
        os.makedirs(work_dir, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=work_dir, prefix='.probe'):
            pass
    except OSError as error:
        raise UserError(
            f'the work directory {work_dir} cannot be written in ({error.strerror or error}): make room or permit it, '
            'or give another one with --work-dir.'
        ) from error


def say_once(sentence: str) -> None:
    """Print a sentence, once for all processes."""
    if os.environ.get('RANK', '0') == '0':
        print(sentence, flush=True)


def report_data(cfg: Config, parts: Sequence[str]) -> None:
    """Check the data that a config names and print what was found; once for all processes.

    Args:
        cfg: The complete config.
        parts: The dataloaders to look at: ``'train'``, ``'val'``, ``'test'``.

    Raises:
        UserError: For all that would go wrong; what is only worth knowing is printed.
    """
    if os.environ.get('RANK', '0') == '0':
        for line in check_data(cfg, parts, say_once):
            say_once(line)


@contextmanager
def missing_files_explained(config: str):
    """Turn a missing file or an unknown name in a config, a broken image, or a full disk into a :class:`UserError`."""
    try:
        with broken_images_explained(), full_disks_explained(), unknown_names_explained(config):
            yield
    except FileNotFoundError as error:
        named = re.findall(r"No such file or directory: '(.+)'", str(error))
        what = error.filename or (named[-1] if named else str(error))
        # Of a worker's error the text alone is left.
        kind = LocalError if 'Original Traceback' in str(error) else UserError
        raise kind(
            f'{what} does not exist, but the config {config} needs it: put it there, or name another '
            'place with --cfg-options.'
        ) from error


@contextmanager
def full_disks_explained():
    """Turn a disk that is full, or not to be written on, into a sentence, where a log or a result is written.

    Raises:
        LocalError: Naming the file, where the system does.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in NOT_WRITTEN:
            raise
        raise LocalError(
            f'{error.filename or "a file of the work directory"} cannot be written ({error.strerror}): make room or '
            'permit it, and go on from the newest checkpoint with --resume.'
        ) from error


@contextmanager
def broken_images_explained():
    """Turn what mmcv and OpenCV say of an image that cannot be decoded, in a worker as well, into a sentence.

    Raises:
        LocalError: Naming the file; for an empty one, which OpenCV does not name, how to find it.
    """
    try:
        yield
    except LocalError as error:  # of sssd.LoadImage; a worker's comes with its traceback
        raise LocalError(str(error).strip().rpartition('LocalError: ')[2]) from error
    except AssertionError as error:
        found = re.findall(r'failed to load image: (.+)', str(error))  # a worker's has mmcv's own line before it
        if not found:
            raise
        raise LocalError(
            f'image {found[-1]} cannot be decoded, the file is broken; put the right file there or take '
            'it out of the data set.'
        ) from error
    except cv2.error as error:
        if 'buf.empty()' not in str(error):
            raise
        raise LocalError(
            'an image of the data is an empty file, which OpenCV does not name; list such files with '
            '`find FOLDER -size 0`, and put the right ones there.'
        ) from error
