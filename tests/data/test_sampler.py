"""Batches of fixed shares from several sources."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest
from mmengine.runner.loops import _InfiniteDataloaderIterator
from torch.utils.data import DataLoader

from sssd.data import sampler as sampler_module
from sssd.data.sampler import MixedSourceSampler, split_batch
from sssd.errors import UserError
from sssd.registry import DATA_SAMPLERS


class Source:
    """A data set of sizes only; item i is its index, counted from ``first``."""

    def __init__(self, landscape, portrait, first=0):
        self.sizes = [(4, 3)] * landscape + [(3, 4)] * portrait
        self.first = first
        self.loaded = 0

    def __len__(self):
        return len(self.sizes)

    def get_data_info(self, index):
        width, height = self.sizes[index]
        return dict(width=width, height=height)

    def __getitem__(self, index):
        self.loaded += 1
        return self.first + index


class Concat:
    """What the sampler needs of a ``ConcatDataset``."""

    def __init__(self, *kinds):
        self.datasets, self.cumulative_sizes = [], []
        total = 0
        for landscape, portrait in kinds:
            self.datasets.append(Source(landscape, portrait, total))
            total += landscape + portrait
            self.cumulative_sizes.append(total)

    def __len__(self):
        return self.cumulative_sizes[-1]

    def __getitem__(self, index):
        source = next(i for i, end in enumerate(self.cumulative_sizes) if index < end)
        return self.datasets[source][index - self.datasets[source].first]


def batches(sampler, count, size):
    return np.array(list(islice(iter(sampler), count * size))).reshape(count, size)


def portrait(data, index):
    source = next(i for i, end in enumerate(data.cumulative_sizes) if index < end)
    width, height = data.datasets[source].sizes[index - data.datasets[source].first]
    return height > width


def on_rank(monkeypatch, rank, world_size):
    monkeypatch.setattr(sampler_module, 'get_dist_info', lambda: (rank, world_size))


@pytest.mark.parametrize(
    'size, ratio, counts',
    [
        (5, [1, 4], [1, 4]),
        (8, [1, 1], [4, 4]),
        (4, [1, 2], [1, 3]),
        (7, [0.3, 0.7], [2, 5]),
        (6, [1, 1, 1], [2, 2, 2]),
        (2, [1, 1], [1, 1]),
        (10, [1, 1, 1], [4, 3, 3]),
    ],
)
def test_counts_sum_to_the_batch(size, ratio, counts):
    assert split_batch(size, ratio) == counts


def test_every_batch_has_its_shares_and_one_orientation_per_source():
    data = Concat((7, 6), (20, 11))
    for batch in batches(MixedSourceSampler(data, 5, [2, 3], seed=0), 200, 5):
        assert (batch[:2] < 13).all() and (batch[2:] >= 13).all() and (batch < 44).all()
        assert len({portrait(data, i) for i in batch[:2]}) == 1
        assert len({portrait(data, i) for i in batch[2:]}) == 1


def test_sources_choose_their_orientation_independently():
    data = Concat((10, 10), (10, 10))
    pairs = {
        (portrait(data, b[0]), portrait(data, b[2]))
        for b in batches(MixedSourceSampler(data, 4, [1, 1], seed=0), 100, 4)
    }
    assert len(pairs) == 4


@pytest.mark.parametrize(
    'kinds',
    [
        ((9, 0), (0, 9)),  # neither source has the other's orientation
        ((1, 1), (30, 1)),  # fewer images of an orientation than a batch needs
        ((1, 0), (1, 0)),
    ],
)
def test_no_hang_and_every_image_equally_often(kinds):
    data = Concat(*kinds)
    count = 1200
    drawn = batches(MixedSourceSampler(data, 8, [1, 1], seed=0), count, 8)
    for columns in (drawn[:, :4], drawn[:, 4:]):
        times = Counter(columns.ravel().tolist())
        expected = count * 4 / len(times)
        # What waits in the buckets is at most one unfinished group of each orientation.
        assert max(abs(value - expected) for value in times.values()) <= 4
    assert set(drawn.ravel()) == set(range(len(data)))


def test_images_of_an_epoch_are_not_repeated_when_the_batch_divides_it():
    drawn = batches(MixedSourceSampler(Concat((8, 8), (16, 0)), 8, [1, 1], seed=0), 4, 8)
    assert sorted(drawn[:, :4].ravel()) == list(range(16))
    second = batches(MixedSourceSampler(Concat((8, 8), (16, 0)), 8, [1, 1], seed=0), 8, 8)[4:]
    assert sorted(second[:, :4].ravel()) == list(range(16))
    assert not np.array_equal(drawn, second)


def test_without_shuffling_the_order_is_the_data_sets():
    drawn = batches(MixedSourceSampler(Concat((3, 0), (4, 0)), 4, [1, 1], shuffle=False, seed=0), 3, 4)
    assert drawn.tolist() == [[0, 1, 3, 4], [2, 0, 5, 6], [1, 2, 3, 4]]


def test_the_seed_decides():
    data = Concat((9, 5), (20, 9))
    one, same, other = (batches(MixedSourceSampler(data, 4, [1, 1], seed=seed), 30, 4) for seed in (3, 3, 4))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


@pytest.mark.parametrize('world_size', [2, 4])
def test_ranks_share_what_one_rank_would_see(monkeypatch, world_size):
    data, local = Concat((9, 5), (20, 13)), 16 // world_size
    whole = batches(MixedSourceSampler(data, 16, [1, 3], seed=5), 50, 16)
    parts = []
    for rank in range(world_size):
        on_rank(monkeypatch, rank, world_size)
        parts.append(batches(MixedSourceSampler(data, local, [1, 3], seed=5), 50, local))
    labelled = np.concatenate([part[:, : local // 4] for part in parts], 1)
    unlabelled = np.concatenate([part[:, local // 4 :] for part in parts], 1)
    assert np.array_equal(whole, np.concatenate([labelled, unlabelled], 1))


@pytest.mark.parametrize('position', [0, 1, 3, 17, 400])
def test_skip_goes_to_where_an_uninterrupted_run_would_be(position):
    data = Concat((9, 5), (20, 13))
    whole = batches(MixedSourceSampler(data, 5, [2, 3], seed=5), position + 20, 5)
    resumed = MixedSourceSampler(data, 5, [2, 3], seed=5)
    resumed.skip(position * 5)
    assert np.array_equal(batches(resumed, 20, 5), whole[position:])


def test_skip_counts_single_images_from_the_start_too():
    sampler = MixedSourceSampler(Concat((9, 5), (20, 13)), 5, [2, 3], seed=5)
    whole = list(islice(iter(sampler), 40))
    for _ in range(2):  # absolute, not from where it stands
        sampler.skip(13)
        assert list(islice(iter(sampler), 27)) == whole[13:]
    with pytest.raises(ValueError, match='must not be negative'):
        sampler.skip(-1)


@pytest.mark.parametrize('workers', [0, 2])
def test_a_resumed_run_sees_what_an_uninterrupted_one_would(workers):
    def run(first, count):
        data = Concat((9, 5), (20, 13))
        loader = DataLoader(data, 5, sampler=MixedSourceSampler(data, 5, [2, 3], seed=5), num_workers=workers)
        iterator = _InfiniteDataloaderIterator(loader)
        if hasattr(iterator, 'skip_iter'):
            iterator.skip_iter(first)
            assert all(source.loaded == 0 for source in data.datasets)
        else:  # the official MMEngine reads the data up to where it was
            for _ in range(first):
                next(iterator)
        return [next(iterator).tolist() for _ in range(count)]

    assert run(6, 5) == run(0, 11)[6:]


def test_it_is_registered_and_takes_mmdets_arguments():
    sampler = DATA_SAMPLERS.build(
        dict(type='sssd.MixedSourceSampler', dataset=Concat((4, 4), (4, 4)), batch_size=5, source_ratio=[1, 4], seed=0)
    )
    assert len(sampler) == 16 and sampler.num_per_source == [1, 4]


@pytest.mark.parametrize(
    'arguments, words',
    [
        (dict(dataset=[1, 2], batch_size=4, source_ratio=[1, 1]), 'needs a ConcatDataset.*is a list'),
        (dict(batch_size=4, source_ratio=[1, 1, 1]), r'source_ratio=\[1, 1, 1\].*each of the 2'),
        (dict(batch_size=2, source_ratio=[1, 9]), r'batch_size=2 with source_ratio=\[1, 9\] gives source 0 no'),
        (dict(batch_size=4, source_ratio=[1, 0]), r'source_ratio=\[1, 0\] must hold positive numbers'),
        (
            dict(dataset=Concat((4, 0), (0, 0)), batch_size=4, source_ratio=[1, 1]),
            'data set 1 of the ConcatDataset is empty',
        ),
    ],
)
def test_mistakes_are_named(arguments, words):
    arguments = dict(dict(dataset=Concat((4, 4), (4, 4)), seed=0), **arguments)
    with pytest.raises(UserError, match=words):
        MixedSourceSampler(**arguments)
