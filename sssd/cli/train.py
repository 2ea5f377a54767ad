"""Train a detector from a config: mmdet's arguments over MMEngine's Runner."""

import argparse
import os
from collections.abc import Sequence
from contextlib import ExitStack, contextmanager

import torch
from mmengine.config import Config
from mmengine.dist import broadcast_object_list, get_world_size, is_main_process

from sssd.checkpoints.aside import is_own, move_aside, move_later_aside
from sssd.checkpoints.exact import keep_seed, make_exact
from sssd.checkpoints.files import checkpoint_place, newest_checkpoint
from sssd.checkpoints.loading import trusting
from sssd.checkpoints.optimizers import OptimizerHook
from sssd.checkpoints.schedules import ScheduleHook
from sssd.checkpoints.validation import DueValidationHook
from sssd.checks.checkpoint import refuse_weights_of_nothing
from sssd.checks.config import check_training
from sssd.checks.weights import named_weights, require_weights
from sssd.cli import _page
from sssd.cli._config import load_config, require_file
from sssd.cli._dist import process_group
from sssd.cli._history import ShortHistoryHook
from sssd.cli._loggers import attach_logger, require_logger
from sssd.cli._parser import parse
from sssd.cli._quiet import Screen, quiet
from sssd.cli._runner import (
    broken_images_explained,
    build_runner,
    missing_files_explained,
    report_data,
    require_writable,
    say_once,
)
from sssd.cli._time_left import TimeLeftHook
from sssd.errors import LocalError, UserError
from sssd.hooks import KeepDetectionsHook, StopOnSignalHook
from sssd.hooks.stop_on_signal import save_now, shielded_workers
from sssd.locks import training_lock
from sssd.studies.cost import Cost


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments of ``sssd train``."""
    return parse('train', argv)


def use_amp(cfg: Config, dtype: str | None = None) -> None:
    """Switch mixed precision on, by one of :mod:`sssd.optim`'s wrappers; a loss scale of the config is kept.

    Args:
        cfg: The config, changed in place.
        dtype: ``'float16'`` or ``'bfloat16'``; None takes float16 where there is a GPU, else bfloat16.
    """
    dtype, wrapper = dtype or ('float16' if torch.cuda.is_available() else 'bfloat16'), cfg.optim_wrapper
    wrapper.type = dict(float16='sssd.Float16OptimWrapper', bfloat16='sssd.BFloat16OptimWrapper')[dtype]
    unknown = ('dtype', 'use_fsdp') if dtype == 'float16' else ('dtype', 'use_fsdp', 'loss_scale')
    for key in unknown:  # of MMEngine's AmpOptimWrapper
        wrapper.pop(key, None)


def scale_lr(cfg: Config, config: str) -> None:
    """Switch the scaling of the learning rate on.

    Raises:
        UserError: When the config does not say for which batch size its learning rate is meant.
    """
    settings = cfg.get('auto_scale_lr') or {}
    if not settings.get('base_batch_size'):
        raise UserError(
            f'--auto-scale-lr needs auto_scale_lr.base_batch_size, which {config} does not set: add '
            'auto_scale_lr = dict(enable=False, base_batch_size=N), N being the total batch size that '
            'the learning rate was chosen for.'
        )
    cfg.auto_scale_lr = dict(settings, enable=True)


def refuse_lossy_checkpointing(cfg: Config, config: str) -> None:
    """Refuse MMEngine's ``activation_checkpointing``: modules whose inputs are tuples or need no gradient lose theirs.

    Raises:
        UserError: When the config has it.
    """
    if cfg.get('activation_checkpointing'):
        raise UserError(
            f'activation_checkpointing, which {config} sets, leaves backbones and pyramids without '
            "gradients: take it out and add dict(type='sssd.RecomputeHook') to custom_hooks."
        )


def replace_broken(node, number: int) -> None:
    """Have all that loads images in a part of a config replace up to ``number`` broken ones, in place."""
    if isinstance(node, dict):
        if str(node.get('type')) in ('LoadImageFromFile', 'mmcv.LoadImageFromFile', 'sssd.LoadImage'):
            node.update(type='sssd.LoadImage', replace=number)
        node = list(node.values())
    for item in node if isinstance(node, (list, tuple)) else ():
        replace_broken(item, number)


def set_start(cfg: Config, resume: str | None) -> str | None:
    """Set where the training starts; returns the checkpoint that is going to be loaded, if any.

    With ``'auto'`` and nothing to go on from, a ``load_from`` of the config stays in force: mmdet would drop it.
    """
    if resume not in (None, 'auto'):
        cfg.resume, cfg.load_from = True, resume
    elif resume == 'auto' or (cfg.get('resume') and cfg.get('load_from') is None):
        place = checkpoint_place(cfg)
        found_by_runner = place == (str(cfg.work_dir), None)  # which says in its log what was passed over
        newest = newest_checkpoint(*place, **{} if found_by_runner else dict(say=say_once))
        cfg.resume = newest is not None
        if newest is not None:
            cfg.load_from = None if found_by_runner else str(newest)
            return str(newest)
    require_file(cfg.get('load_from'), 'checkpoint')
    return cfg.get('load_from')


@contextmanager
def held_by_first(work_dir: str, launcher: str):
    """Have the first of all processes hold the work directory, so that no other training writes there at once.

    Without a launcher every process is a training of its own, whatever rank its environment has.

    Raises:
        UserError: On all processes that have a group already, else on the first, whose launcher ends the others.
    """
    trouble = [None]
    with ExitStack() as stack:
        rank = '0' if launcher == 'none' else os.environ.get('RANK', os.environ.get('OMPI_COMM_WORLD_RANK', '0'))
        if rank == '0':
            require_writable(work_dir)
            try:
                stack.enter_context(training_lock(work_dir, say_once))
            except UserError as error:
                trouble = [str(error)]
        if get_world_size() > 1:
            broadcast_object_list(trouble)
        if trouble[0] is not None:
            raise UserError(trouble[0])
        yield


def begin_anew(cfg: Config) -> None:
    """Move aside what a training that is not gone on with has left in the work directory, and say so.

    One that goes on from the checkpoint of another folder is not that training.
    """
    place, start = checkpoint_place(cfg), cfg.get('load_from')
    needed = [weights.name for weights in named_weights(cfg)]
    if cfg.get('resume') and is_own(start, *place):
        told = move_later_aside(start, [name for name in needed if name != start]) if start else None
    else:
        told = move_aside(*place, needed, start if cfg.get('resume') else None)
    if told is not None:
        print(f'note: {told}', flush=True)


def refuse_newer(cfg: Config, resume: str | None, checkpoint: str | None) -> None:
    """Refuse to go on from a checkpoint that was the newest before we held the work directory, and is not any more.

    Raises:
        UserError: Asking to be called again.
    """
    if resume == 'auto' and str(newest_checkpoint(*checkpoint_place(cfg)) or checkpoint) != str(checkpoint):
        raise UserError(f'a training in {cfg.work_dir} has just ended, with a newer checkpoint: call it again.')


def train(
    cfg: Config, checkpoint: str | None, screen: Screen | None, new_schedule: bool = False, logger: str | None = None
) -> None:
    """Check the data, then train, from ``checkpoint`` if there is one."""
    report_data(cfg, ('train', 'val'))
    resume = bool(cfg.get('resume'))
    runner = build_runner(cfg, checkpoint=checkpoint, strict=resume, resume=resume, screen=screen)
    attach_logger(runner, logger, resume)
    make_exact(runner)
    hooks = [OptimizerHook(), ScheduleHook(new_schedule), DueValidationHook(), KeepDetectionsHook(), StopOnSignalHook()]
    for hook in (*hooks, TimeLeftHook(Cost.of(cfg)), ShortHistoryHook()):
        runner.register_hook(hook)
    refuse_weights_of_nothing(runner.model)
    with shielded_workers(runner), saved_at_a_broken_image(runner):
        runner.train()


@contextmanager
def saved_at_a_broken_image(runner):
    """Save what is trained where an image cannot be decoded, and say so; several processes have their last checkpoint.

    Raises:
        LocalError: Naming the image, and the checkpoint.
    """
    try:
        with broken_images_explained():
            yield
    except LocalError as error:
        done = getattr(runner._train_loop, 'iter', 0)
        if not str(error).startswith(('image ', 'an image ')) or not done or get_world_size() > 1:
            raise
        name = save_now(runner, done)
        if name is None:
            raise
        raise LocalError(
            f'{str(error).rstrip(".")}; the state after iteration {done} is in {name}: go on with --resume, or have '
            'such files replaced with --replace-broken N.'
        ) from error


def main(argv: Sequence[str] | None = None) -> int:
    """Train; returns the exit status."""
    args = parse_args(argv)
    require_logger(args.logger)
    cfg = load_config(args)
    refuse_lossy_checkpointing(cfg, args.config)
    check_training(cfg, args.config)
    if args.replace_broken:
        replace_broken(cfg.train_dataloader, args.replace_broken)
    if args.amp or args.amp_dtype:
        use_amp(cfg, args.amp_dtype)
    if args.auto_scale_lr:
        scale_lr(cfg, args.config)
    with trusting(args.trust_checkpoint), quiet(args.verbose, args.launcher) as screen:
        checkpoint = set_start(cfg, args.resume)
        keep_seed(cfg, checkpoint)
        require_weights(cfg, args.config)
        with (
            process_group(cfg, args.launcher),
            missing_files_explained(args.config),
            held_by_first(cfg.work_dir, args.launcher),
        ):
            refuse_newer(cfg, args.resume, checkpoint)
            if is_main_process():
                begin_anew(cfg)
                _page.keep_base(cfg, args.config)
            train(cfg, checkpoint, screen, args.new_schedule, args.logger)
            first = is_main_process()
    if first and _page.wanted():
        _page.page_of_run(cfg.work_dir, 'cuda' if torch.cuda.is_available() else 'cpu')
    return 0
