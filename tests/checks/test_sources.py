"""Which data sets count as labelled: those whose pipeline loads boxes for training, wherever they stand."""

import shutil

import pytest

from sssd.checks.sources import is_supervised


def add_source(sets, **changes):
    """A second labelled source: a copy of the first, its files in another folder."""
    shutil.copytree(sets.root / 'val', sets.root / 'more')
    second = dict(sets.train.to_dict(), data_root=f'{sets.root}/more/', **changes)
    sets.cfg.val_dataloader = sets.cfg.val_evaluator = None
    return second


def reverse(coco):
    coco['categories'].reverse()


@pytest.mark.parametrize('place', [0, 1, 2])
def test_every_labelled_source_is_looked_at(sets, place):
    sources = [sets.train, sets.unlabelled]
    sources.insert(place, add_source(sets))
    sets.cfg.train_dataloader.dataset.datasets = sources
    sets.cfg.train_dataloader.sampler.source_ratio = [1, 1, 1]
    sets.cfg.train_dataloader.update(batch_size=3)
    sets.cfg.train_dataloader.sampler.batch_size = 3
    assert sets.findings() == {}
    sets.edit(reverse, 'more')
    found = sets.findings()['class-order']
    assert found.level == 'error' and found.where == str(sets.file('more'))
    assert f"datasets[{place}] lists its categories as 'bar', 'disc'" in found.text


def test_sources_inside_a_source(sets):
    inner = dict(type='ConcatDataset', datasets=[sets.train, add_source(sets)])
    sets.cfg.train_dataloader.dataset.datasets = [inner, sets.unlabelled]
    sets.edit(reverse, 'more')
    assert 'datasets[0].datasets[1] lists' in sets.findings()['class-order'].text


def test_a_class_that_the_second_source_lacks(sets):
    sets.cfg.train_dataloader = dict(
        batch_size=2, dataset=dict(type='ConcatDataset', datasets=[sets.train, add_source(sets)])
    )
    sets.edit(lambda coco: coco['categories'][1].update(name='ring'), 'more')
    assert "datasets[1].metainfo.classes names 'bar'" in sets.findings()['classes'].text


def test_an_unlabelled_source_may_come_first(sets):
    sets.cfg.train_dataloader.dataset.datasets = [sets.unlabelled, sets.train]
    sets.edit(reverse)
    assert 'datasets[1] lists' in sets.findings()['class-order'].text


@pytest.mark.parametrize(
    'steps, supervised',
    [
        ([], False),
        ([dict(type='LoadAnnotations', with_bbox=True)], True),
        ([dict(type='mmdet.LoadAnnotations', with_bbox=False)], False),
        ([dict(type='LoadEmptyAnnotations')], False),
        ([dict(type='LoadAnnotations'), dict(type='MultiBranch', sup=[], unsup_teacher=[1], unsup_student=[1])], False),
        ([dict(type='LoadAnnotations'), dict(type='mmcv.MultiBranch', sup=dict(type='PackDetInputs'))], True),
        ([dict(type='RandomChoice', transforms=[[dict(type='LoadAnnotations')]])], True),
    ],
)
def test_pipelines(steps, supervised):
    assert is_supervised(dict(pipeline=steps)) == supervised


def test_all_mistakes_are_told_at_once(sets):
    sets.edit(reverse)
    (sets.images('val') / '0000.png').unlink()
    sets.unlabelled.data_prefix.img = 'nowhere/'
    from sssd.checks.data import check_data
    from sssd.errors import UserError

    with pytest.raises(UserError) as told:
        check_data(sets.cfg)
    first, *sentences = str(told.value).splitlines()
    assert first == 'the data have 3 mistakes:'
    for words, sentence in zip(['lists its categories', 'nowhere/ of', '1 of 3 images'], sentences):
        assert words in sentence
