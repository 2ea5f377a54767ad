"""A validation part in which each class has its share."""

import itertools
import random

import pytest

from sssd.datasets.stratified import classes_of, split_validation
from sssd.errors import UserError


def made(classes):
    """A COCO dict of images with the classes given, one box of each."""
    things = [(image, name) for image, names in enumerate(classes) for name in names]
    return dict(
        images=[dict(id=image, file_name=f'{image}.jpg') for image in range(len(classes))],
        annotations=[dict(id=number, image_id=i, category_id=c) for number, (i, c) in enumerate(things, 1)],
        categories=[dict(id=name, name=str(name)) for name in sorted({name for _, name in things})],
    )


def random_set(seed, images, frequencies):
    """Images that have each class by chance."""
    rng = random.Random(seed)
    return made([{name for name, share in frequencies.items() if rng.random() < share} for _ in range(images)])


def images_with(coco, name):
    return {image for image, names in classes_of(coco).items() if name in names}


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('share', [0.1, 0.2, 0.5])
def test_each_class_has_its_share(seed, share):
    coco = random_set(seed, 400, {1: 0.9, 2: 0.5, 3: 0.1, 4: 0.02, 5: 0.01})
    train, val = split_validation(coco, share, seed)
    assert abs(len(val['images']) - 400 * share) <= 8
    for category in coco['categories']:
        whole, part = (len(images_with(each, category['id'])) for each in (coco, val))
        assert abs(part - share * whole) <= max(1.0, 0.05 * whole), 'a random choice is off by several times that'
    assert [image['id'] for image in coco['images'] if image not in val['images']] == [i['id'] for i in train['images']]
    assert len(train['annotations']) + len(val['annotations']) == len(coco['annotations'])


def can_be_split(sets, images):
    """Whether some choice of images leaves some of each set on both sides; all of them are tried."""
    return any(
        all(0 < len(each & set(chosen)) < len(each) for each in sets)
        for count in range(1, images)
        for chosen in itertools.combinations(range(images), count)
    )


def test_classes_of_two_images_and_more_are_in_both_parts_wherever_that_can_be():
    seen = 0
    for seed in range(300):
        rng = random.Random(seed)
        images = rng.randint(2, 9)
        coco = random_set(seed, images, dict.fromkeys(range(1, rng.randint(2, 7)), 0.35))
        train, val = split_validation(coco, 0.2, seed)
        assert train['images'] and val['images']
        sets = [images_with(coco, category['id']) for category in coco['categories']]
        sets = [each for each in sets if len(each) > 1]
        chosen = {image['id'] for image in val['images']}
        both = all(0 < len(each & chosen) < len(each) for each in sets)
        assert both or not can_be_split(sets, images), (seed, sets)
        seen += both and bool(sets)
    assert seen > 200


def test_a_seed_gives_one_split_everywhere():
    coco = random_set(0, 40, {1: 0.5, 2: 0.3})
    first, again, other = (
        {image['id'] for image in split_validation(coco, 0.2, seed)[1]['images']} for seed in (0, 0, 1)
    )
    assert first == again != other
    shuffled = dict(coco, images=coco['images'][::-1])
    assert {image['id'] for image in split_validation(shuffled, 0.2)[1]['images']} == first


def test_images_without_boxes_are_dealt_out_too():
    train, val = split_validation(made([{1}] * 10 + [set()] * 10), 0.2)
    assert sum(image['id'] >= 10 for image in val['images']) == 2 and len(val['images']) == 4


@pytest.mark.parametrize(
    'coco, share, words',
    [
        (made([{1}] * 4), 0, 'the share of validation is 0, but must lie above 0 and below 1'),
        (made([{1}] * 4), 1, 'the share of validation is 1'),
        (made([{1}]), 0.2, r'a set of 1 image\(s\) cannot be split'),
        (dict(made([{1}]), images=[dict(id=7), dict(id=7)]), 0.2, 'the image id 7 is there twice'),
        (
            dict(made([{1}]), images=[dict(id=1, file_name='a/b.jpg'), dict(id=2, file_name='./a/b.jpg')]),
            0.2,
            'the image a/b.jpg is there twice, and could get into both parts',
        ),
    ],
)
def test_what_cannot_be_split(coco, share, words):
    with pytest.raises(UserError, match=words):
        split_validation(coco, share)
