"""Where a stream of images goes on, and what is loaded of each."""

import pickle
from itertools import count, islice
from types import SimpleNamespace

import pytest
from mmdet.datasets.samplers import AspectRatioBatchSampler
from mmdet.engine.hooks import PipelineSwitchHook
from torch.utils.data import BatchSampler, DataLoader, Sampler

from sssd.data.positions import place_images


class Images:
    """Nine images, of which every third is wide; one is its number, in a list."""

    @staticmethod
    def pipeline(number):
        return [number]

    def __len__(self):
        return 9

    def __getitem__(self, index):
        return self.pipeline(index)

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


def test_mmdet_switches_the_pipeline_of_the_data_set():
    loader = place_images(DataLoader(Images(), batch_size=2, collate_fn=list), 0)
    assert next(iter(loader)) == [[0], [1]]
    runner = SimpleNamespace(epoch=1, train_dataloader=loader, logger=SimpleNamespace(info=print))
    PipelineSwitchHook(switch_epoch=1, switch_pipeline=[lambda number: -number]).before_train_epoch(runner)
    assert next(iter(loader)) == [0, -1]


def test_the_data_set_goes_to_another_process():
    loader = place_images(DataLoader(Images(), batch_size=2), 0)
    assert pickle.loads(pickle.dumps(loader.dataset))[3] == [3]
