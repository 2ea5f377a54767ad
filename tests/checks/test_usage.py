"""What is said of the images and boxes that are used is what mmdet's data set has."""

import json

import pytest
from PIL import Image

from sssd.checks.findings import Findings
from sssd.checks.reading import Files
from sssd.checks.usage import usage_of
from sssd.registry import DATASETS

SPOILT = [
    dict(iscrowd=1),
    dict(area=0),
    dict(bbox=[5, 5, 0.5, 9]),
    dict(bbox=[500, 5, 9, 9]),
    dict(ignore=1),
    dict(category_id=3),
    dict(category_id=4),
]
REASONS = dict(crowd=1, area=1, tiny=1, outside=1, ignore=1, category=2)


def spoil(coco):
    """Seven boxes for seven reasons, an image without an object, one that is small, a class that nobody wants."""
    coco['categories'] += [dict(id=3, name='ring'), dict(id=4, name='star')]
    for thing, change in zip(coco['annotations'][3:], SPOILT):
        thing.update(change)
    coco['images'].append(dict(id=99, file_name='0000.png', width=96, height=72))
    coco['images'].append(dict(id=98, file_name='0001.png', width=20, height=72))
    coco['annotations'].append(dict(id=1000, image_id=98, category_id=1, bbox=[1, 1, 9, 9], area=81, iscrowd=0))


@pytest.mark.parametrize('rules', [None, dict(), dict(filter_empty_gt=True), dict(filter_empty_gt=True, min_size=32)])
@pytest.mark.parametrize('indices', [None, 3, -2, [0, 2]])
@pytest.mark.parametrize('test_mode', [False, True])
def test_the_numbers_are_those_of_the_data_set(sets, rules, indices, test_mode):
    sets.edit(spoil)
    sets.train.update(filter_cfg=rules, indices=indices, test_mode=test_mode)
    table = Files(Findings()).table(str(sets.file()))
    usage = usage_of(table, ('disc', 'bar'), sets.train)
    built = DATASETS.build(sets.train)
    infos = [built.get_data_info(place) for place in range(len(built))]
    assert len(usage.images) == len(built)
    assert [table.image_ids[place] for place in usage.images] == [info['img_id'] for info in infos]
    trained = [thing for info in infos for thing in info['instances'] if not thing['ignore_flag']]
    assert usage.boxes.sum() == len(trained)
    empty = [info for info in infos if all(thing['ignore_flag'] for thing in info['instances'])]
    assert usage.without_box == len(empty)


def test_reasons_are_told(sets):
    sets.edit(spoil)
    table = Files(Findings()).table(str(sets.file()))
    usage = usage_of(table, ('disc', 'bar'), dict(sets.train))
    assert usage.reasons == REASONS | dict(filter=1)
    found = sets.findings()
    assert 'trains on 5 of the 13 boxes' in found['boxes-unused'].text
    assert '2 whose class is not among those of the config' in found['boxes-unused'].text
    assert 'uses 6 of the 8 images' in found['images-unused'].text
    assert '1 without an object of the classes (filter_cfg.filter_empty_gt)' in found['images-unused'].text
    assert '1 smaller than 32 pixels (filter_cfg.min_size)' in found['images-unused'].text
    assert sets.run.findings.lines[0].startswith('train_dataloader.dataset.datasets[0]: 6 images, 5 boxes, 2 classes')


def test_images_without_objects(sets):
    sets.edit(lambda coco: coco.update(annotations=[t for t in coco['annotations'] if t['image_id'] > 2]))
    assert 'uses 4 of the 6 images' in sets.findings()['images-unused'].text
    assert len(DATASETS.build(sets.train)) == 4
    sets.train.filter_cfg = None
    assert '2 of the 6 images that' in sets.findings()['images-without-box'].text


@pytest.mark.parametrize('part, words', [('train', 'and could be unlabelled'), ('val', 'counts as wrong')])
def test_most_images_without_any_label(sets, part, words):
    """As exports of labelling tools have it; up to half of them may be without objects."""
    images = sorted(image['id'] for image in json.loads(sets.file(part).read_text())['images'])
    for bare, expected in ((images[-(len(images) // 2) :], False), (images[1:], True)):
        sets.edit(
            lambda coco, bare=bare: coco.update(
                annotations=[thing for thing in coco['annotations'] if thing['image_id'] not in bare]
            ),
            part,
        )
        found = sets.findings().get('bare')
        assert (found is not None) == expected
    assert (found.level, found.count) == ('warning', len(images) - 1) and words in found.text
    assert f'{len(images) - 1} of the {len(images)} images' in found.text


@pytest.mark.parametrize('part', ['train', 'val'])
def test_a_class_without_a_box(sets, part):
    sets.edit(lambda coco: [thing.update(category_id=1) for thing in coco['annotations']], part)
    found = sets.findings()['class-without-box']
    assert (found.level, found.examples) == ('warning', ('bar',)) and found.where == str(sets.file(part))


def test_small_images_of_a_folder_are_counted(sets):
    Image.new('RGB', (90, 90)).save(sets.images('unlabeled') / 'large.png')
    sets.unlabelled.filter_cfg = dict(min_size=80)
    sets.findings()
    built = DATASETS.build(sets.unlabelled)
    assert len(built) == 1
    assert sets.run.findings.lines[1].startswith(f'train_dataloader.dataset.datasets[1]: {len(built)} image, ')


def test_a_folder_of_which_nothing_is_left(sets):
    sets.unlabelled.filter_cfg = dict(min_size=80)
    assert 'has no image left after filter_cfg' in sets.findings()['nothing-left'].text


def test_what_an_evaluation_leaves_out(sets):
    """Crowds are meant to be; boxes of other classes and those with 'ignore' set are told of."""
    sets.edit(lambda coco: coco['annotations'][0].update(iscrowd=1), 'val')
    assert 'boxes-unused' not in sets.findings()

    def change(coco):
        coco['categories'].append(dict(id=3, name='ring'))
        coco['annotations'][1].update(category_id=3)
        coco['annotations'][2].update(ignore=1)

    sets.edit(change, 'val')
    found = sets.findings()
    assert 'is evaluated on 3 of the 6 boxes' in found['boxes-unused'].text
    assert 'not among those of the config (ring)' in found['boxes-unused'].text
    assert found['ignored-in-evaluation'].level == 'warning' and '1 box with' in found['ignored-in-evaluation'].text


def test_why_no_box_can_be_used(sets):
    sets.edit(lambda coco: [thing.update(iscrowd=1) for thing in coco['annotations']])
    assert 'of its 12 boxes: 12 of crowds' in sets.findings()['no-box'].text
