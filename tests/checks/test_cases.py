"""The small sets of shared/cases, where they are: each behaves as the README there says."""

import os
from pathlib import Path

import pytest
from mmengine.config import Config

from sssd.checks.data import check_data
from sssd.errors import UserError

CASES = Path(os.environ.get('SSSD_CASES', Path(__file__).resolve().parents[3] / 'shared/cases'))


@pytest.fixture
def case(sets):
    """A function that puts one of the sets into the config, several as several labelled sources; what is found."""
    if not CASES.is_dir():
        pytest.skip(f'{CASES} is not there, which is no part of the repository')

    def find(name, *others):
        sources = []
        for each in (name, *others):
            root = CASES / each
            source = dict(data_root='', ann_file=f'{root}/train.json', data_prefix=dict(img=f'{root}/train/'))
            sources.append(dict(sets.train.to_dict(), metainfo=dict(classes=('box', 'ball')), **source))
        root = CASES / name
        unlabelled = dict(sets.unlabelled.to_dict(), data_prefix=dict(img=f'{root}/unlabeled/'))
        unlabelled['metainfo'] = dict(classes=('box', 'ball'))
        val = dict(sources[0], ann_file=f'{root}/val.json', data_prefix=dict(img=f'{root}/val/'), test_mode=True)
        val['pipeline'] = sets.cfg.val_dataloader.dataset.pipeline
        size = len(sources) + 1
        loader = dict(sets.cfg.train_dataloader.to_dict(), batch_size=size)
        loader['sampler'] = dict(loader['sampler'], batch_size=size, source_ratio=[1] * size)
        loader['dataset'] = dict(type='ConcatDataset', datasets=[*sources, unlabelled])
        sets.cfg = Config(
            dict(
                model=dict(),
                train_dataloader=loader,
                val_dataloader=dict(batch_size=1, dataset=val),
                val_evaluator=dict(type='CocoMetric', ann_file=f'{root}/val.json'),
            )
        )
        return sets.findings()

    return find


@pytest.mark.parametrize(
    'names, kind, words',
    [
        (['dup_image_ids'], 'duplicate-id', '(1, 2, 3 and 1 more; 4 entries too many)'),
        (['exif'], 'exif', '8 of 8 images looked at have an EXIF tag'),
        (['ann_id_zero'], 'annotation-id-0', "pycocotools takes for 'nothing detected'"),
        (['area_zero_some'], 'area-0', '12 of 24 boxes have an area of 0 or less'),
        (['bom'], 'encoding', 'is UTF-8 with a byte-order mark'),
        (['plain', 'second_source_order'], 'class-order', "datasets[1] lists its categories as 'ball', 'box'"),
    ],
)
def test_mistakes(case, sets, names, kind, words):
    found = case(*names)[kind]
    assert found.level == 'error' and words in found.text
    with pytest.raises(UserError) as told:
        check_data(sets.cfg)
    assert words in str(told.value)


def test_images_without_objects(case, sets):
    found = case('negatives')
    assert list(found) == ['images-unused'] and 'uses 4 of the 8 images' in found['images-unused'].text
    assert ': 4 images, 12 boxes' in check_data(sets.cfg)[0]


def test_the_one_without_a_fault(case):
    assert case('plain') == {}
