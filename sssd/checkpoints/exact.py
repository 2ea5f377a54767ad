"""Exact resume: what chance decides in training is a function of the seed and of how far the training is.

An iteration draws the same numbers whether or not the training was interrupted before it.  What draws between two
steps, such as a hook of one's own, finds the random states of its process as they were (``random_states.py``).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from sssd.checkpoints.gathered import GatheredGradientsHook
from sssd.checkpoints.loading import read_checkpoint
from sssd.checkpoints.random_states import RandomStatesHook
from sssd.data.positions import place_images, seed_all
from sssd.provenance import versions

#: Key in a checkpoint's ``meta`` of what a run's exact course depends on.
COURSE = 'sssd_course'
#: Parts of the random numbers that must not meet: those of images, and those of the training step.
IMAGES, STEP = 0, 1
#: Transforms of mmdet that keep earlier images in the memory of their process.
CACHED = ('CachedMosaic', 'CachedMixUp')


def keep_seed(cfg: Config, checkpoint: str | None) -> None:
    """Take the seed of a run that goes on from its checkpoint, before anything is built with another.

    Args:
        cfg: The config, changed in place if it has no seed.
        checkpoint: The checkpoint to go on from; None is a new run.
    """
    if checkpoint is None or not cfg.get('resume'):
        return
    seed = read_checkpoint(checkpoint).get('meta', {}).get('seed')
    if seed is not None and cfg.get('randomness', {}).get('seed') is None:
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=seed)


def make_exact(runner: Runner) -> None:
    """Make the images of a run's training and its steps functions of the seed and of the progress.

    Args:
        runner: A Runner that has built no dataloader yet.
    """
    build, images = runner.build_dataloader, runner._train_dataloader

    def build_placed(dataloader, *args, **kwargs):
        """The loader; that of training draws each image's augmentation by its place."""
        loader = build(dataloader, *args, **kwargs)
        loader.generator = torch.Generator()  # each pass would draw its workers' seed from the process's random state
        return place_images(loader, runner.seed, get_rank(), IMAGES) if dataloader is images else loader

    runner.build_dataloader = build_placed
    runner.register_hook(SeedStepHook())
    runner.register_hook(CourseHook())
    runner.register_hook(RandomStatesHook())
    runner.register_hook(GatheredGradientsHook())


class SeedStepHook(Hook):
    """Seeds Python, NumPy and PyTorch before every step by seed, rank and iteration: sampled boxes, dropout."""

    priority = 'VERY_HIGH'

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Seed; some ten microseconds."""
        seed_all(runner.seed, get_rank(), STEP, runner.iter)


class CourseHook(Hook):
    """Keeps in the checkpoint what the exact course of a run depends on, and tells on resume what has changed."""

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Write it into ``meta``."""
        checkpoint.setdefault('meta', {})[COURSE] = course_of(runner)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Tell in one line what is no longer exact."""
        if not runner._resume:
            return
        before = checkpoint.get('meta', {}).get(COURSE)
        if before is None:
            return
        changes = changed(before, course_of(runner)) + forgotten(runner.cfg.get('train_dataloader'))
        if changes:
            print_log(
                f'This run goes on, but not bit by bit as if it had never stopped: {"; ".join(changes)}.',
                logger='current',
                level=30,
            )


def course_of(runner: Runner) -> dict:
    """What the exact course of a run depends on, besides its config's model, data and schedule."""
    loader = runner.cfg.get('train_dataloader') or {}
    return dict(
        seed=runner.seed,
        processes=get_world_size(),
        images_per_process=loader.get('batch_size'),
        device=next(runner.model.parameters()).device.type,
        **{name: value and str(value) for name, value in versions().items()},
    )


def changed(before: Mapping, now: Mapping) -> list[str]:
    """Differences of two courses in words: ``processes 2 -> 1``."""
    return [
        f'{name.replace("_", " ")} {before.get(name)} -> {value}'
        for name, value in now.items()
        if before.get(name) != value
    ]


def forgotten(dataloader: Any) -> list[str]:
    """What is lost with a process of a dataloader's config, in words: images that its transforms keep."""
    names = sorted(set(types_in(dataloader)) & set(CACHED))
    return [f'{" and ".join(names)} had kept earlier images, which are lost'] if names else []


def types_in(config: Any) -> Iterator[str]:
    """Names of all types in a config, however deep."""
    if isinstance(config, Mapping):
        kind = config.get('type')
        yield kind.rpartition('.')[2] if isinstance(kind, str) else getattr(kind, '__name__', '')
        config = list(config.values())
    for inner in config if isinstance(config, (list, tuple)) else ():
        yield from types_in(inner)
