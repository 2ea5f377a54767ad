"""LabelMe's files, one an image: every shape, where the image is, what else lies in the folder, mistakes by file."""

import base64
import json
import os
import shutil
from pathlib import Path

import label_forms
import pytest
from label_forms import boxes_of, labelme_of
from PIL import Image

from sssd.datasets.labels import own_validation, parts_of, read_labels
from sssd.errors import UserError

NAMES = ['disc', 'bar']


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def flat(train):
    """The six images with their files beside them, in ``me``."""
    return label_forms.write_labelme(train, 'me')


def names_of(labels):
    return [image['file_name'] for image in labels.coco['images']]


def check(labels, truth):
    """What it is for every form, and classes are sorted by name."""
    assert labels.file is None
    label_forms.check(labels, truth, 'LabelMe')
    assert [each['name'] for each in labels.coco['categories']] == sorted(NAMES)


def change(path, **more):
    """Change what a file of LabelMe holds, ``None`` takes a key out; returns what it held."""
    content = json.loads(Path(path).read_text())
    changed = {key: value for key, value in (content | more).items() if value is not ...}
    Path(path).write_text(json.dumps(changed))
    return content


def one(shapes, **more):
    """The labels of one image of 100 x 80 with these shapes."""
    folder = Path('one')
    folder.mkdir(exist_ok=True)
    Image.new('RGB', (100, 80)).save(folder / 'a.png')
    content = labelme_of(dict(file_name='a.png', width=100, height=80), shapes, **more)
    (folder / 'a.json').write_text(json.dumps(content))
    return read_labels(folder)


def shape(kind, points, name='disc', **more):
    return dict(label=name, points=points, group_id=None, shape_type=kind, flags={}) | more


def test_files_beside_their_images(flat):
    labels = read_labels('me')
    check(labels, flat)
    assert labels.images == 'me' and labels.notes == () and labels.source == 'me'


@pytest.mark.parametrize('folder', ['annotations', 'Labels', 'json', 'ann'])
def test_files_in_a_folder_of_their_own(train, folder):
    truth = label_forms.write_labelme(train, 'me/images', f'me/{folder}')
    for path in ('me', f'me/{folder}'):
        labels = read_labels(path)
        check(labels, truth)
        assert labels.images == 'me/images' and labels.notes == ()
    check(read_labels(f'me/{folder}', 'me/images'), truth)


def test_paths_lead_to_images_in_any_folder(train):
    truth = label_forms.write_labelme(train, 'photos', 'work/labels')
    labels = read_labels('work/labels')
    check(labels, truth)
    assert labels.images == 'photos'
    Path('more').mkdir()
    shutil.move('photos/0002.png', 'more')
    change('work/labels/0002.json', imagePath='..\\..\\more\\0002.png')
    check(read_labels('work/labels'), truth)


@pytest.mark.parametrize('path', ['C:\\Users\\me\\photos\\{}', '..\\images\\{}', '/home/me/{}', '{}', '', None, 7])
def test_an_image_that_lies_only_beside_its_file(flat, path):
    for file in Path('me').glob('*.json'):
        change(file, imagePath=path.format(f'{file.stem}.png') if isinstance(path, str) else path)
    check(read_labels('me'), flat)


def test_an_image_of_another_name_is_found_by_its_path(flat):
    os.rename('me/0001.json', 'me/labels of the first.json')
    change('me/0002.json', imagePath='C:\\photos\\renamed.png')
    os.rename('me/0002.png', 'me/renamed.png')
    labels = read_labels('me')
    assert sorted(names_of(labels)) == ['0000.png', '0001.png', '0003.png', '0004.png', '0005.png', 'renamed.png']
    assert len(labels.coco['annotations']) == len(flat['annotations']) and labels.notes == ()


def test_the_folder_of_the_images_may_be_named(train):
    truth = label_forms.write_labelme(train, 'elsewhere/deep', 'me')
    for file in Path('me').glob('*.json'):
        change(file, imagePath=f'{file.stem}.png')
    with pytest.raises(UserError, match=r'0000\.json: its image is not in me, neither 0000\.jpg or the like nor the'):
        read_labels('me')
    check(read_labels('me', 'elsewhere/deep'), truth)


def test_two_images_of_one_name_are_told_apart_by_the_path(flat):
    with Image.open('me/0000.png') as image:
        image.convert('RGB').save('me/0000.jpg')
    assert names_of(read_labels('me'))[0] == '0000.png'
    change('me/0000.json', imagePath='0000.jpg')
    assert names_of(read_labels('me'))[0] == '0000.jpg'


def test_equal_names_in_two_sub_folders_are_two_images(train, val):
    label_forms.write_labelme(train, 'me/labels/a')
    label_forms.write_labelme(val, 'me/labels/b')
    labels = read_labels('me')
    assert names_of(labels) == [f'a/000{n}.png' for n in range(6)] + [f'b/000{n}.png' for n in range(3)]
    assert labels.images == 'me/labels'


def test_a_file_that_names_another_image_is_told(flat):
    change('me/0001.json', imagePath='0002.png')
    labels = read_labels('me')
    check(labels, flat)
    assert labels.notes == (
        '1 JSON file whose imagePath is another image that is there, such as me/0001.json: each was taken for the '
        'image of its own name, so see whether it is that',
    )


def test_two_files_of_one_image_are_refused(flat):
    shutil.copy('me/0001.json', 'me/copy.json')
    with pytest.raises(UserError, match='^me/0001.json and me/copy.json would be labels of the same image: take one'):
        read_labels('me')
    os.rename('me/copy.json', 'me/0001.JSON')
    with pytest.raises(UserError, match='would be labels of the same image: take one of them out'):
        read_labels('me')


def test_files_and_images_in_capitals(flat):
    os.rename('me/0001.json', 'me/0001.JSON')
    os.rename('me/0002.png', 'me/0002.PNG')
    labels = read_labels('me')
    assert len(labels.coco['images']) == 6 and '0002.PNG' in names_of(labels) and labels.notes == ()
    assert len(labels.coco['annotations']) == len(flat['annotations'])


def test_parts_are_folders(train, val):
    truths = {'train': label_forms.write_labelme(train, 'me/Train'), 'val': label_forms.write_labelme(val, 'me/valid')}
    assert set(parts_of('me')) == {'train', 'val'}
    check(read_labels('me'), truths['train'])
    check(own_validation('me'), truths['val'])
    label_forms.write_labelme(train, 'two/images/train', 'two/labels/train')
    label_forms.write_labelme(val, 'two/images/val', 'two/labels/val')
    check(read_labels('two'), truths['train'])
    check(own_validation('two'), truths['val'])


def test_an_image_without_a_file_is_left_out_and_one_without_shapes_has_no_objects(flat):
    os.remove('me/0000.json')
    labels = read_labels('me')
    assert names_of(labels) == [f'000{n}.png' for n in range(1, 6)] and not boxes_of(labels.coco)['0005.png']
    assert labels.notes == ('1 image without a JSON file: left out',)


@pytest.mark.parametrize('points', [[[10, 20], [40, 60]], [[40, 60], [10, 20]], [[40, 20], [10, 60]]])
def test_rectangles_in_any_order(points):
    assert boxes_of(one([shape('rectangle', points)]).coco) == {'a.png': [('disc', 10, 20, 30, 40)]}


def test_shapes_become_the_boxes_around_them():
    labels = one(
        [
            shape('polygon', [[10, 20], [30.5, 10], [40, 50], [20, 60]]),
            shape('circle', [[50, 40], [53, 44]]),
            shape('circle', [[95, 10], [95, 30]], name='edge'),
            shape('rectangle', [[5, 5], [25, 5], [25, 15], [5, 15]], name='four'),
            shape('rotation', [[50, 10], [60, 20], [50, 30], [40, 20]], name='turned'),
            shape('mask', [[60, 50], [69, 59]], name='filled', mask='iVBORw0KGgo='),
            shape(None, [[1, 2], [3, 2], [3, 8]], name='old'),
        ]
    )
    assert boxes_of(labels.coco)['a.png'] == sorted(
        [
            ('disc', 10, 10, 30, 50),
            ('disc', 45, 35, 10, 10),
            ('edge', 75, 0, 25, 30),  # a circle ends with the image
            ('four', 5, 5, 20, 10),
            ('turned', 40, 10, 20, 20),
            ('filled', 60, 50, 10, 10),  # its first and its last pixel
            ('old', 1, 2, 2, 6),
        ]
    )
    assert labels.notes == ()


def test_polygons_stay_as_masks():
    outline = [[10, 20], [30, 10], [40, 50]]
    labels = one([shape('polygon', outline), shape('rectangle', [[1, 2], [3, 4]])])
    assert [thing.get('segmentation') for thing in labels.coco['annotations']] == [[[10, 20, 30, 10, 40, 50]], None]


def test_shapes_of_one_group_are_one_object():
    parts = [[[10, 20], [30, 10], [40, 50]], [[60, 20], [70, 20], [70, 70]]]
    labels = one(
        [shape('polygon', part, group_id=3) for part in parts]
        + [shape('rectangle', [[1, 2], [3, 4]], name='bar', group_id=3)]
        + [shape('rectangle', [[1, 2], [3, 4]], group_id=0), shape('rectangle', [[5, 2], [9, 4]])]
    )
    boxes = sorted([('disc', 10, 10, 60, 60), ('bar', 1, 2, 2, 2), ('disc', 1, 2, 2, 2), ('disc', 5, 2, 4, 2)])
    assert boxes_of(labels.coco)['a.png'] == boxes
    assert labels.coco['annotations'][0]['segmentation'] == [[10, 20, 30, 10, 40, 50], [60, 20, 70, 20, 70, 70]]
    assert labels.notes == ('1 shape with the label and group_id of another one: taken as one object with it',)


def test_shapes_without_an_area_are_told_once_and_left_out():
    kinds = {'point': 1, 'points': 2, 'line': 2, 'linestrip': 3}
    labels = one([shape(kind, [[1, 1]] * count, name='mark') for kind, count in kinds.items()])
    assert boxes_of(labels.coco) == {'a.png': []} and labels.coco['categories'] == []
    assert labels.notes == ('4 shapes without an area (line, linestrip, point, points): left out',)


def test_pictures_within_the_files_do_no_harm(flat):
    """Tools write keys in another order, so that the picture comes before the shapes."""
    for file in Path('me').glob('*.json'):
        content = json.loads(file.read_text())
        content['imageData'] = base64.b64encode(os.urandom(20_000)).decode()
        file.write_text(json.dumps(content, sort_keys=True))
    check(read_labels('me'), flat)


@pytest.mark.parametrize('size', [0, None, ...])
def test_sizes_that_are_missing_are_those_of_the_image(flat, size):
    with Image.open('me/0001.png') as image:
        tags = image.getexif()
        tags[0x0112] = 6
        image.save('me/0001.png', exif=tags)
        size_turned = image.size[::-1]
    for name in ('0000', '0001'):
        change(f'me/{name}.json', imageWidth=size)
    labels = read_labels('me')
    assert (labels.coco['images'][1]['width'], labels.coco['images'][1]['height']) == size_turned
    assert labels.notes == ('2 JSON files without a size: it was taken from the image',)


def test_other_json_files_of_a_folder_are_passed_over(flat):
    Path('me/settings.json').write_text('{"theme": "dark"}')
    Path('me/.hidden.json').write_text('[')
    labels = read_labels('me')
    check(labels, flat)
    assert labels.notes == ('2 JSON files without labels of LabelMe, such as me/.hidden.json: left out',)


def test_a_coco_file_beside_them_makes_two_forms(train, flat):
    shutil.copy(train.ann_file, 'me/all.json')
    with pytest.raises(UserError, match='^me holds labels in the forms COCO and LabelMe: name the file or folder of'):
        read_labels('me')
    assert read_labels('me/all.json').form == 'COCO'


def test_a_coco_file_whose_name_says_a_part_beside_them(train, flat):
    shutil.copy(train.ann_file, 'me/train.json')
    with pytest.raises(UserError, match='holds labels in the forms COCO and LabelMe'):
        read_labels('me')


def test_one_file_is_no_data_set(flat):
    with pytest.raises(UserError, match=r'^me/0001\.json has the labels of one image \(LabelMe\): name its folder, me'):
        read_labels('me/0001.json')


@pytest.mark.parametrize(
    'more, words',
    [
        (dict(shapes=...), "it lacks the list 'shapes' of LabelMe: label the image again, or take the file out"),
        (dict(shapes={}), "it lacks the list 'shapes'"),
        (dict(imageWidth='wide'), "imageWidth is 'wide', but has to be a number"),
        (dict(imageWidth=float('nan')), "imageWidth is 'nan', but has to be a number"),
        (dict(imageHeight=-4), 'the size is .* x -4: correct it'),
        (dict(imageHeight=10**400), 'imageHeight is .* but has to be a number'),
        (dict(shapes=[3]), "entry 0 of 'shapes' is 3, but has to be a shape with a label and points"),
        (
            dict(shapes=[dict(points=[[1, 2], [3, 4]], shape_type='rectangle')]),
            "its label is 'None', but has to be the",
        ),
        (dict(shapes=[shape('rectangle', [[1, 2], [3, 4]], name=' ')]), "its label is ' ', but has to be the name"),
        (dict(shapes=[shape('ellipse', [[1, 2], [3, 4]])]), "its shape_type is 'ellipse', but .* rectangle, polygon"),
        (dict(shapes=[shape(['circle'], [[1, 2], [3, 4]])]), 'its shape_type is '),
        (dict(shapes=[shape('rectangle', [[1, 2]])]), 'a rectangle has 2 points or more, each of them x and y, but'),
        (dict(shapes=[shape('polygon', [[1, 2], [3, 4]])]), 'a polygon has 3 points or more'),
        (dict(shapes=[shape('circle', [[1, 2], [3]])]), 'a circle has 2 points'),
        (dict(shapes=[shape('circle', None)]), 'a circle has 2 points'),
        (dict(shapes=[shape('circle', [[1, 2], [3, 'x']])]), "a coordinate is 'x', but has to be a number"),
        (dict(shapes=[shape('circle', [[1, 2], [3, None]])]), "a coordinate is 'None', but has to be a number"),
        (dict(shapes=[shape('circle', [[1, 2], [3, float('inf')]])]), "a coordinate is 'inf'"),
    ],
)
def test_mistakes_in_files(flat, more, words):
    change('me/0001.json', **more)
    with pytest.raises(UserError, match=rf'^me/0001\.json.*{words}') as caught:
        read_labels('me')
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    'text', ['', '{"shapes": [', '{"flags": {}, "shapes": [{}]', '\x00\x01', '[]', '"shapes"', '3']
)
def test_a_file_beside_its_image_that_is_broken_is_told(flat, text):
    """Even if nothing tells any more that it is one of LabelMe."""
    Path('me/0001.json').write_text(text)
    with pytest.raises(UserError, match=r'^me/0001\.json.*[:;] label the image again, or take the file out') as caught:
        read_labels('me')
    assert '\n' not in str(caught.value) and 'COCO' not in str(caught.value)


def test_all_mistakes_are_told_at_once_and_equal_ones_as_one(flat):
    for name in ('0000', '0001', '0002'):
        change(f'me/{name}.json', shapes=[shape('ellipse', [[1, 2], [3, 4]]), shape('ellipse', [[1, 2], [3, 4]])])
    os.remove('me/0003.png'), os.remove('me/0004.png')
    with pytest.raises(UserError) as told:
        read_labels('me')
    begin, *lines = str(told.value).splitlines()
    assert begin == 'me has 2 mistakes:' and len(lines) == 2
    assert lines[0].startswith("  1. me/0000.json, entry 0 of 'shapes': its shape_type is 'ellipse'")
    assert lines[0].endswith('(6 such mistakes).')
    assert lines[1].startswith('  2. me/0003.json: its image is not in me, neither 0003.jpg')
    assert lines[1].endswith('(2 such mistakes).')
