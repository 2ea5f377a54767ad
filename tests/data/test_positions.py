"""Where a stream of images goes on."""

from itertools import count, islice

import pytest
from mmdet.datasets.samplers import AspectRatioBatchSampler
from torch.utils.data import BatchSampler, DataLoader, Sampler

from sssd.data.positions import place_images


class Images:
    """Nine images, of which every third is wide; one is its number."""

    def __len__(self):
        return 9

    def __getitem__(self, index):
        return index

    def get_data_info(self, index):
        return dict(width=30 if index % 3 == 0 else 10, height=20)


class Endless(Sampler):
    """The images in their order, again and again, as MMEngine's InfiniteSampler has them."""

    def __init__(self, dataset):
        self.dataset, self.start = dataset, 0

    def __iter__(self):
        return (number % len(self.dataset) for number in count(self.start))

    def skip(self, number):
        self.start = number


@pytest.mark.parametrize('kind', [AspectRatioBatchSampler, BatchSampler])
def test_batches_go_on_where_they_were(kind):
    """One that sorts images has kept some back by then."""

    def batches(skipped):
        images = Images()
        batches = kind(Endless(images), batch_size=4, drop_last=True)
        loader = place_images(DataLoader(images, batch_sampler=batches, collate_fn=list), 0)
        loader.sampler.skip(skipped * loader.batch_sampler.batch_size)  # as MMEngine does on resume
        return list(islice(loader, 12 - skipped))

    whole = batches(0)
    assert batches(5) == whole[5:] and len(whole) == 12
