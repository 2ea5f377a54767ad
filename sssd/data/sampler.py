"""Batches with a fixed share of labelled and unlabelled images."""

from collections.abc import Iterator, Sequence, Sized
from itertools import islice

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from sssd.errors import UserError
from sssd.registry import DATA_SAMPLERS


def split_batch(batch_size: int, source_ratio: Sequence[int | float]) -> list[int]:
    """Share a batch among sources by ratio; what rounding leaves goes to the largest remainders.

    Returns:
        Images per source; their sum is ``batch_size``.

    Raises:
        UserError: If a source would get no image.
    """
    if not source_ratio or min(source_ratio) <= 0:
        raise UserError(
            f'source_ratio={list(source_ratio)} must hold positive numbers only; '
            'leave a source out of the data set instead.'
        )
    exact = [batch_size * share / sum(source_ratio) for share in source_ratio]
    counts = [int(value) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: counts[i] - exact[i])
    for source in by_remainder[: batch_size - sum(counts)]:
        counts[source] += 1
    if min(counts) < 1:
        raise UserError(
            f'batch_size={batch_size} with source_ratio={list(source_ratio)} gives '
            f'source {counts.index(min(counts))} no image; use a larger batch_size '
            'or a more even ratio.'
        )
    return counts


class GroupStream:
    """Endless groups of ``size`` images of one source; a group's images share an orientation.

    Each epoch is a permutation of the source. Its images fall into one of two buckets, wider
    than high or not, and a bucket that holds ``size`` images is given out. What is left in a
    bucket stays there for the next epoch, so every image is drawn equally often in the long run,
    and an orientation with few images waits for more epochs rather than for ever.

    Args:
        portrait: Bool array, one entry per image: higher than wide.
        size: Images per group.
        key: Integers that seed the permutations.
        shuffle: False keeps the order of the data set.
    """

    def __init__(self, portrait: np.ndarray, size: int, key: Sequence[int], shuffle: bool = True):
        self.portrait = portrait
        self.size = size
        self.key = list(key)
        self.shuffle = shuffle

    def __iter__(self) -> Iterator[np.ndarray]:
        return self.starting_at(0)

    def starting_at(self, position: int) -> Iterator[np.ndarray]:
        """Iterate from group number ``position`` on; what lies before is passed in whole epochs."""
        buckets = [np.empty(0, np.int64), np.empty(0, np.int64)]
        epoch = 0
        while True:
            groups, buckets = self._epoch(epoch, buckets)
            yield from groups[position:]
            position = max(position - len(groups), 0)
            epoch += 1

    def _epoch(self, epoch: int, buckets: list[np.ndarray]):
        """All groups that fill up in this epoch, (groups, size), and what stays in the buckets."""
        count = len(self.portrait)
        order = np.arange(count)
        if self.shuffle:
            order = np.random.default_rng([*self.key, epoch]).permutation(count)
        groups, filled_at, rest = [], [], []
        for bucket, member in zip(buckets, (~self.portrait[order], self.portrait[order])):
            images = np.concatenate([bucket, order[member]])
            whole = len(images) // self.size
            groups.append(images[: whole * self.size].reshape(whole, self.size))
            rest.append(images[whole * self.size :])
            # Place in the epoch at which each group got its last image.
            last = np.arange(1, whole + 1) * self.size - 1 - len(bucket)
            filled_at.append(np.flatnonzero(member)[last])
        return np.concatenate(groups)[np.argsort(np.concatenate(filled_at))], rest


@DATA_SAMPLERS.register_module()
class MixedSourceSampler(Sampler):
    """Endless sampler over a ``ConcatDataset``, with fixed counts per source in every batch.

    A batch lists its images source by source: first the labelled, then the unlabelled. Images of
    one source in a batch share an orientation (less padding); sources are independent in that.
    The arguments are those of mmdet's ``GroupMultiSourceSampler``.

    Under DDP every rank knows the global batch, which depends on ``seed`` alone, and takes the
    r-th contiguous part of each source. So two ranks with half the batch size see together what
    one rank sees with the whole, as long as the ratio divides both batch sizes evenly.

    Iterating starts at the position that :meth:`skip` set (at first 0), each time anew. To
    continue a run at the right images its seed must be the same: set ``randomness`` or ``seed``.

    Args:
        dataset: ``ConcatDataset`` of the sources.
        batch_size: Images per rank and batch; the same number as the dataloader's.
        source_ratio: Shares of the sources, such as ``[1, 4]``.
        shuffle: False keeps the order within each source.
        seed: Same on every rank; None lets the ranks agree on a random one.

    Raises:
        UserError: For a data set of another kind, an empty source, or a ratio that does not fit.
    """

    def __init__(
        self,
        dataset: Sized,
        batch_size: int,
        source_ratio: Sequence[int | float],
        shuffle: bool = True,
        seed: int | None = None,
    ) -> None:
        sources = getattr(dataset, 'datasets', None)
        if sources is None or not hasattr(dataset, 'cumulative_sizes'):
            raise UserError(
                'MixedSourceSampler needs a ConcatDataset of labelled and unlabelled '
                f'data, but the data set is a {type(dataset).__name__}.'
            )
        if len(source_ratio) != len(sources):
            raise UserError(
                f'source_ratio={list(source_ratio)} must have one entry for each of '
                f'the {len(sources)} data sets of the ConcatDataset.'
            )
        for number, source in enumerate(sources):
            if len(source) == 0:
                raise UserError(
                    f'data set {number} of the ConcatDataset is empty; check its ann_file, data_prefix and filter_cfg.'
                )
        self.dataset = dataset
        self.batch_size = batch_size
        self.num_per_source = split_batch(batch_size, source_ratio)
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed
        self.offsets = [0, *dataset.cumulative_sizes[:-1]]
        self.streams = [
            GroupStream(_portrait(source), count * self.world_size, (self.seed, number), shuffle)
            for number, (source, count) in enumerate(zip(sources, self.num_per_source))
        ]
        self._consumed = 0

    def __iter__(self) -> Iterator[int]:
        batches, rest = divmod(self._consumed, self.batch_size)
        return islice(self._indices(batches), rest, None)

    def _indices(self, first_batch: int) -> Iterator[int]:
        for groups in zip(*(stream.starting_at(first_batch) for stream in self.streams)):
            for group, count, offset in zip(groups, self.num_per_source, self.offsets):
                part = group[self.rank * count : (self.rank + 1) * count]
                yield from (part + offset).tolist()

    def skip(self, num_samples: int) -> None:
        """Begin after this rank's first ``num_samples`` images; loads nothing.

        MMEngine's ``IterBasedTrainLoop`` calls it on resuming with iterations times batch size,
        counted from the very start of training.
        """
        if num_samples < 0:
            raise ValueError(f'num_samples must not be negative, but got {num_samples}')
        self._consumed = num_samples

    def __len__(self) -> int:
        """Images in the data set; the sampler itself never ends."""
        return len(self.dataset)

    def set_epoch(self, epoch: int) -> None:
        """There are no epochs; kept because MMEngine calls it."""


def _portrait(dataset) -> np.ndarray:
    if hasattr(dataset, 'image_sizes'):  # an ImageFolder, which may have a million
        width, height = dataset.image_sizes().T
        return height > width
    infos = (dataset.get_data_info(index) for index in range(len(dataset)))
    return np.array([info['height'] > info['width'] for info in infos], dtype=bool)
