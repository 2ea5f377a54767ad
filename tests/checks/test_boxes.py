"""Boxes that are no boxes, or in another form."""

import json
import shutil

import pytest
from PIL import Image

from sssd.checks.readings import READINGS


def boxes(sets, change, part='train'):
    """Replace each box by what ``change`` makes of it and its image."""

    def edit(coco):
        images = {image['id']: image for image in coco['images']}
        for place, thing in enumerate(coco['annotations']):
            thing['bbox'] = change(place, thing['bbox'], images[thing['image_id']])

    sets.edit(edit, part)


@pytest.mark.parametrize('part', ['train', 'val'])
def test_corners_in_place_of_sides(sets, part):
    boxes(sets, lambda place, box, image: [box[0], box[1], box[0] + box[2], box[1] + box[3]], part)
    found = sets.findings()['corners']
    assert found.level == 'error' and 'as they seem to be: COCO has x, y, width, height' in found.text


def test_parts_of_the_image(sets):
    def normalised(place, box, image):
        width, height = image['width'], image['height']
        return [box[0] / width, box[1] / height, box[2] / width, box[3] / height]

    boxes(sets, normalised)
    found = sets.findings()['normalised']
    assert (found.level, found.count) == ('error', 12) and 'multiply x and width by the width' in found.text


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
def test_numbers_that_are_not_finite(sets, value):
    boxes(sets, lambda place, box, image: [value if place == 4 else box[0], *box[1:]])
    found = sets.findings()['not-finite']
    assert (found.level, found.count, found.examples) == ('error', 1, (5,))


@pytest.mark.parametrize(
    'box, kind, level',
    [
        ([50, 50, -20, 10], 'negative', 'error'),
        ([50, 50, 0, 10], 'tiny', 'warning'),
        ([50, 50, 10, 0.5], 'tiny', 'warning'),
        ([50, 50, 90, 10], 'outside', 'error'),
        ([-30, 5, 40, 10], 'outside', 'error'),
        ([500, 5, 40, 10], 'outside', 'error'),
    ],
)
def test_one_box(sets, box, kind, level):
    boxes(sets, lambda place, old, image: box if place == 0 else old)
    found = sets.findings()[kind]
    assert (found.level, found.count, found.examples) == (level, 1, (1,)) and '1 of 12 boxes' in found.text


def test_a_box_may_end_a_pixel_outside(sets):
    boxes(sets, lambda place, box, image: [box[0], box[1], image['width'] - box[0] + 1, box[3]])
    assert 'outside' not in sets.findings()


@pytest.mark.parametrize('area', [0, -3])
def test_areas_of_0(sets, area):
    sets.edit(lambda coco: [thing.update(area=area) for thing in coco['annotations'][:5]])
    found = sets.findings()
    assert (found['area-0'].level, found['area-0'].count) == ('error', 5)
    assert '5 of 12 boxes have an area of 0 or less' in found['area-0'].text
    assert 'trains on 7 of the 12 boxes' in found['boxes-unused'].text
    assert '5 whose area is not above 0' in found['boxes-unused'].text


def test_an_area_that_is_nan(sets):
    sets.edit(lambda coco: coco['annotations'][2].update(area=float('nan')), 'val')
    assert sets.findings()['area-not-finite'].examples == (3,)


def test_a_few_strays_among_many_are_no_error(sets):
    def many(coco):
        box = coco['annotations'][0]
        coco['annotations'] = [dict(box, id=number) for number in range(1, 3001)]
        coco['annotations'][7]['area'] = 0

    sets.edit(many)
    assert sets.findings()['area-0'].level == 'warning'
    assert json.loads(sets.file().read_text())['annotations'][7]['area'] == 0, 'files are left as they are'


def middle_to_coco(box):
    """What an importer of YOLO makes of four numbers."""
    return [box[0] - box[2] / 2, box[1] - box[3] / 2, *box[2:]]


@pytest.mark.parametrize(
    'kind, change',
    [
        ('centred', lambda box: [box[0] + box[2] / 2, box[1] + box[3] / 2, *box[2:]]),
        ('exchanged', lambda box: [box[1], box[0], box[3], box[2]]),
        ('corners-as-middle', lambda box: middle_to_coco([*box[:2], box[0] + box[2], box[1] + box[3]])),
    ],
)
def test_other_readings_of_the_four_numbers(sets, kind, change):
    """Boxes at the far border of the longer side, so that they would reach out of their images."""

    def right(place, image):
        width, height = image['width'], image['height']
        return [width - 30, 5 + place, 28, 20] if width > height else [5 + place, height - 30, 20, 28]

    boxes(sets, lambda place, box, image: change(right(place, image)))
    found = sets.findings()[kind]
    assert found.level == 'error' and found.count == 12 and 'as they seem to' in found.text
    boxes(sets, lambda place, box, image: right(place, image))
    assert not {*READINGS, 'outside'} & set(sets.findings())


def test_corners_taken_for_the_middle(sets):
    """Boxes near the left border then begin outside; those in the middle of the image hide it."""

    def right(place, image):
        return [place, image['height'] - 24, 20, 22]

    boxes(sets, lambda place, box, image: middle_to_coco(right(place, image)))
    found = sets.findings()['corner-as-middle']
    assert found.level == 'error' and 2 <= found.count < 12 and 'a line of YOLO has the middle' in found.text
    boxes(sets, lambda place, box, image: right(place, image))
    assert not {*READINGS, 'outside'} & set(sets.findings())


def test_some_boxes_are_shares_of_the_image(sets):
    """Three of twelve; one alone may be of less than a pixel."""
    boxes(sets, lambda place, box, image: [0.1, 0.2, 0.3, 0.4] if place < 3 else box)
    found = sets.findings()
    assert (found['normalised'].level, found['normalised'].count) == ('error', 3) and 'tiny' not in found
    assert 'such as annotation 1 of 0000.png' in found['normalised'].text
    boxes(sets, lambda place, box, image: [10, 10, 20, 20] if 0 < place < 3 else box)
    found = sets.findings()
    assert 'normalised' not in found and found['tiny'].count == 1


def test_boxes_in_percent(sets):
    """In images of 200 x 150; the same with a box that ends beyond 100 are pixels."""
    for path in sets.images().iterdir():
        Image.new('RGB', (200, 150)).save(path)
    sets.edit(lambda coco: [image.update(width=200, height=150) for image in coco['images']])
    boxes(sets, lambda place, box, image: [70, 55 + place, 16 + place, 30])
    found = sets.findings()['percent']
    assert found.level == 'warning' and '12 of 12 boxes all end at 100 or before' in found.text
    boxes(sets, lambda place, box, image: [104 if place == 3 else box[0], *box[1:]])
    assert 'percent' not in sets.findings()


def test_boxes_of_images_half_as_large(sets):
    for number in range(12):
        shutil.copy(sets.images() / '0000.png', sets.images() / f'more_{number}.png')
    size = dict(zip(('width', 'height'), Image.open(sets.images() / '0000.png').size))

    def drawn(scale, beginning=20):
        def change(coco):
            coco['images'] = [dict(id=number, file_name=f'more_{number}.png', **size) for number in range(12)]
            coco['annotations'] = []
            for place in range(60):
                corner = [scale * (side * (place % (80 - beginning) + beginning) / 80 - 4) for side in size.values()]
                box = [*corner, 4 * scale, 4 * scale]
                thing = dict(id=place + 1, image_id=place % 12, category_id=1, iscrowd=0, area=box[2] ** 2, bbox=box)
                coco['annotations'].append(thing)

        sets.edit(change)
        return sets.findings()

    assert 'confined' not in drawn(1.0)
    assert 'confined' not in drawn(0.6, beginning=40)  # objects in the middle
    found = drawn(0.5)['confined']
    assert found.level == 'warning' and found.count == 60
    assert 'all end within 49% of the width and 49% of the height' in found.text


@pytest.mark.parametrize('part', ['train', 'val'])
def test_boxes_that_stand_there_twice(sets, part):
    """Which a perfect detector finds once."""
    boxes(sets, lambda place, box, image: [place, place, 20, 20], part)
    sets.edit(lambda coco: coco['annotations'].extend([dict(coco['annotations'][0], id=99)]), part)
    found = sets.findings()['twice']
    assert (found.level, found.count, found.examples) == ('error', 1, (99,))
    sets.edit(lambda coco: coco['annotations'][-1].update(category_id=3 - coco['annotations'][0]['category_id']), part)
    found = sets.findings()
    assert 'twice' not in found and found['two-classes'].level == 'warning' and found['two-classes'].count == 1
    sets.edit(lambda coco: coco['annotations'][-1].update(bbox=[0, 0, 20, 21]), part)
    assert not {'twice', 'two-classes'} & set(sets.findings())


def test_areas_that_are_not_of_their_boxes(sets):
    """Shares of the image; those of masks are smaller than the box."""
    sets.edit(lambda coco: [thing.update(area=1e-4) for thing in coco['annotations']])
    assert sets.findings()['area-off'].level == 'warning'
    sets.edit(
        lambda coco: [thing.update(area=0.3 * thing['bbox'][2] * thing['bbox'][3]) for thing in coco['annotations']]
    )
    assert 'area-off' not in sets.findings()
