"""What a run says when it cannot go on bit by bit as if it had never stopped."""

import logging

import pytest
from mmdet.datasets.transforms import CachedMixUp
from mmengine.config import Config
from mmengine.logging import MMLogger
from torch import nn

from sssd.checkpoints.exact import CourseHook


class Run:
    """The parts of a Runner that the hook looks at."""

    def __init__(self, pipeline=(), batch_size=4, seed=5):
        dataset = dict(type='ConcatDataset', datasets=[dict(type='CocoDataset', pipeline=list(pipeline))])
        self.cfg = Config(dict(train_dataloader=dict(batch_size=batch_size, dataset=dataset)))
        self.model, self.seed, self._resume = nn.Linear(1, 1), seed, True


@pytest.fixture
def told(monkeypatch):
    """A function that resumes ``now`` from a checkpoint of ``before``, and returns what is said."""
    said = []
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'log', lambda level, text, *args, **kwargs: said.append((level, text)))

    def resume(before, now):
        checkpoint = {}
        CourseHook().before_save_checkpoint(before, checkpoint)
        CourseHook().after_load_checkpoint(now, checkpoint)
        return said

    return resume


def test_nothing_is_said_where_all_is_as_it_was(told):
    assert told(Run([dict(type='LoadImageFromFile')]), Run([dict(type='LoadImageFromFile')])) == []


def test_what_has_changed_is_said_in_one_line(told):
    ((level, text),) = told(Run(), Run(batch_size=2, seed=6))
    assert level == logging.WARNING and text.count('\n') == 0
    assert 'not bit by bit as if it had never stopped: seed 5 -> 6; images per process 4 -> 2.' in text


@pytest.mark.parametrize('kind', ['CachedMixUp', 'mmdet.CachedMixUp', CachedMixUp])
def test_images_that_transforms_had_kept_are_lost(told, kind):
    pipeline = [dict(type='RandomOrder', transforms=[dict(type='CachedMosaic'), dict(type=kind)])]
    ((_, text),) = told(Run(pipeline), Run(pipeline))
    assert text.endswith('CachedMixUp and CachedMosaic had kept earlier images, which are lost.')


def test_a_new_run_from_the_weights_says_nothing(told):
    now = Run(batch_size=2)
    now._resume = False
    assert told(Run(), now) == []
