"""Augmentation as a function of the seed and of the place in the stream of images, whichever worker loads an image."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader


class Drawn(int):
    """An index of the data set that knows its place in the stream: (epoch, number of the image in it)."""

    place: tuple[int, int]

    def __new__(cls, index: int, place: tuple[int, int]) -> 'Drawn':
        drawn = super().__new__(cls, index)
        drawn.place = place
        return drawn

    def __reduce__(self):
        return Drawn, (int(self), self.place)


class PlacedSampler:
    """A sampler whose indices are :class:`Drawn`; all else is the sampler's own.

    Args:
        sampler: Any sampler of one process's images.
    """

    def __init__(self, sampler: Any) -> None:
        self._sampler, self._epoch, self._skipped = sampler, 0, 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__') or name == '_sampler':  # while it is unpickled
            raise AttributeError(name)
        return self._skip if name == 'skip' and hasattr(self._sampler, 'skip') else getattr(self._sampler, name)

    def __len__(self) -> int:
        return len(self._sampler)

    def __iter__(self) -> Iterator[Drawn]:
        for number, index in enumerate(self._sampler, self._skipped):
            yield Drawn(index, (self._epoch, number))

    def set_epoch(self, epoch: int) -> None:
        """Begin a pass over the data; the first pass is number 0."""
        self._epoch = epoch
        if hasattr(self._sampler, 'set_epoch'):
            self._sampler.set_epoch(epoch)

    def _skip(self, number: int) -> None:
        self._sampler.skip(number)
        self._skipped = number


class LaterBatches:
    """A batch sampler that can begin later: it makes the batches before anew and gives none of them out.

    One that sorts images, such as mmdet's ``AspectRatioBatchSampler``, keeps some back, so where it was does not follow
    from how many images it has given out.

    Args:
        batches: Any batch sampler; all else is its own.
    """

    def __init__(self, batches: Any) -> None:
        self._batches, self._passed = batches, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batches, name)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[Drawn]]:
        return islice(self._batches, self._passed, None)

    def skip(self, number: int) -> None:
        """Begin after the batches of so many images."""
        self._passed = number // self.batch_size


class SeededDataset:
    """A data set that loads every image under random states of its own; all else is the data set's.

    Args:
        dataset: Any map-style data set.
        key: Integers of the run and of the process: seed, rank.
    """

    def __init__(self, dataset: Any, key: tuple[int, ...]) -> None:
        vars(self).update(_dataset=dataset, _key=key)

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__') or name == '_dataset':
            raise AttributeError(name)
        return getattr(self._dataset, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._dataset, name, value)  # mmdet's PipelineSwitchHook sets another pipeline

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Any:
        if not isinstance(index, Drawn):
            return self._dataset[index]
        with seeded(*self._key, *index.place):
            return self._dataset[int(index)]


@contextmanager
def seeded(*key: int):
    """Random states of Python, NumPy and PyTorch (CPU) that depend on ``key`` alone; those before come back after."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    seed_all(*key)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


def seed_all(*key: int) -> None:
    """Seed Python, NumPy and PyTorch on every device by integers, none below 0."""
    words = np.random.SeedSequence(key).generate_state(3)
    random.seed(int(words[0]))
    np.random.seed(words[1])
    torch.manual_seed(int(words[2]))


def place_images(dataloader: DataLoader, *key: int) -> DataLoader:
    """Make a dataloader's augmentation a function of ``key`` and of each image's place in the stream.

    The loader's sampler and data set are wrapped where they are, since a DataLoader lets nobody exchange them; it must
    not have been iterated over. A loader without a sampler that gives indices stays as it is.

    Args:
        dataloader: The loader, changed in place.
        key: Integers of the run and of the process: seed, rank.
    """
    batches = dataloader.batch_sampler
    if batches is None or not hasattr(batches, 'sampler') or not hasattr(dataloader.dataset, '__getitem__'):
        return dataloader
    placed = batches.sampler = PlacedSampler(batches.sampler)
    if type(batches) is not BatchSampler and hasattr(placed, 'skip'):
        placed = LaterBatches(batches)
        object.__setattr__(dataloader, 'batch_sampler', placed)
    object.__setattr__(dataloader, 'sampler', placed)
    object.__setattr__(dataloader, 'dataset', SeededDataset(dataloader.dataset, key))
    return dataloader
