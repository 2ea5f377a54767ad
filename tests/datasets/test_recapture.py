"""A data set as other cameras see it."""

import json

import cv2
import numpy as np
import pytest

from sssd.cli import recapture as command
from sssd.datasets.recapture import recapture
from sssd.errors import UserError


@pytest.fixture
def source(tmp_path):
    """Three images, one in a folder of its own and one without objects."""
    images = [
        dict(id=i, file_name=name, width=40, height=30) for i, name in enumerate(('a.jpg', 'deep/b.png', 'c.jpg'))
    ]
    rng = np.random.default_rng(0)
    for image in images:
        path = tmp_path / 'pictures' / image['file_name']
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), cv2.resize(rng.integers(40, 200, (3, 4, 3), np.uint8), (40, 30)))
    coco = dict(
        images=images,
        categories=[dict(id=1, name='cell')],
        info=dict(year=2026),
        annotations=[dict(id=1, image_id=1, category_id=1, bbox=[1, 2, 3, 4], area=12, iscrowd=0)],
    )
    (tmp_path / 'cells.json').write_text(json.dumps(coco))
    return tmp_path


def make(source, out='seen', **options):
    return recapture(source / 'cells.json', source / 'pictures', source / out, progress=False, **options)


def pixels(source, out='seen/images'):
    return {name: cv2.imread(str(source / out / name)) for name in ('a.jpg', 'deep/b.png', 'c.jpg')}


def test_labels_stay_and_every_image_has_a_camera_of_its_own(source):
    (source / 'pictures/c.jpg').write_bytes((source / 'pictures/a.jpg').read_bytes())
    made = json.loads(make(source).read_text())
    coco = json.loads((source / 'cells.json').read_text())
    assert all(made[key] == coco[key] for key in ('images', 'annotations', 'categories'))
    assert made['info']['year'] == 2026 and made['info']['recapture']['camera'] == 'varied'
    before, after = pixels(source, 'pictures'), pixels(source)
    assert all(image.shape == (30, 40, 3) for image in after.values())
    assert np.array_equal(before['a.jpg'], before['c.jpg'])
    assert np.abs(after['a.jpg'].astype(float) - after['c.jpg']).mean() > 5  # the same scene by two cameras


def test_the_camera_follows_from_seed_and_name_alone(source):
    make(source)
    first = pixels(source)
    coco = json.loads((source / 'cells.json').read_text())
    (source / 'cells.json').write_text(json.dumps(dict(coco, images=coco['images'][::-1])))
    make(source, 'again')
    assert all(np.array_equal(image, first[name]) for name, image in pixels(source, 'again/images').items())
    make(source, 'other', seed=1)
    assert not any(np.array_equal(image, first[name]) for name, image in pixels(source, 'other/images').items())


def test_what_lies_there_is_taken_and_damage_mended(source):
    stamp = make(source)
    images = [source / 'seen/images' / name for name in pixels(source)]
    times = [path.stat().st_mtime_ns for path in images]
    assert make(source) == stamp and [path.stat().st_mtime_ns for path in images] == times
    images[0].unlink()
    make(source)
    assert images[0].is_file() and [path.stat().st_mtime_ns for path in images[1:]] == times[1:]


def test_several_files_of_one_folder_share_their_images(source):
    make(source)
    times = [path.stat().st_mtime_ns for path in (source / 'seen/images').glob('*.jpg')]
    coco = json.loads((source / 'cells.json').read_text())
    (source / 'part.json').write_text(json.dumps(dict(images=coco['images'][:2], categories=coco['categories'])))
    made = recapture(source / 'part.json', source / 'pictures', source / 'seen', progress=False)
    assert len(json.loads(made.read_text())['images']) == 2  # an unlabelled file will do
    assert [path.stat().st_mtime_ns for path in (source / 'seen/images').glob('*.jpg')] == times


@pytest.mark.parametrize(
    'options, words', [(dict(seed=1), r'seed=0, not 1'), (dict(camera='plain'), r"camera='varied', not 'plain'")]
)
def test_images_that_were_made_otherwise_are_not_mixed(source, options, words):
    make(source)
    before = pixels(source)
    with pytest.raises(UserError, match=words):
        make(source, **options)
    (source / 'others').mkdir()
    for name in ('a.jpg', 'c.jpg'):
        (source / 'others' / name).write_bytes((source / 'pictures/c.jpg').read_bytes())
    with pytest.raises(UserError, match="img_dir='../pictures', not '../others'"):
        recapture(few(source), source / 'others', source / 'seen', progress=False)
    assert all(np.array_equal(image, before[name]) for name, image in pixels(source).items())


def few(source):
    """An annotation file of the images that lie in no folder of their own."""
    coco = json.loads((source / 'cells.json').read_text())
    path = source / 'few.json'
    path.write_text(json.dumps(dict(coco, images=coco['images'][::2], annotations=[])))
    return path


def test_files_of_others_are_left_alone(source):
    (source / 'mine').mkdir()
    (source / 'mine/cells.json').write_text('precious')
    for out in ('mine', '.', 'cells.json'):
        with pytest.raises(UserError, match='holds other files'):
            make(source, out)
    assert (source / 'mine/cells.json').read_text() == 'precious'


@pytest.mark.parametrize('name', ['{}/pictures/a.jpg', '../pictures/a.jpg', 7])
def test_no_image_is_written_outside(source, name):
    coco = json.loads((source / 'cells.json').read_text())
    coco['images'][0]['file_name'] = name.format(source) if isinstance(name, str) else name
    (source / 'cells.json').write_text(json.dumps(coco))
    before = (source / 'pictures/a.jpg').read_bytes()
    with pytest.raises(UserError, match='does not lie below the folder of images|has to be the name of a file'):
        make(source)
    assert (source / 'pictures/a.jpg').read_bytes() == before and not (source / 'seen').exists()


def test_mistakes_are_named(source):
    with pytest.raises(UserError, match="camera='phone' is unknown; use one of plain, varied"):
        make(source, camera='phone')
    (source / 'pictures/c.jpg').write_bytes(b'no image')
    with pytest.raises(UserError, match=r'c\.jpg, which .*cells\.json lists, cannot be read as an image'):
        make(source)
    (source / 'pictures/c.jpg').unlink()
    with pytest.raises(UserError, match=r'c\.jpg, which .*cells\.json lists, does not exist'):
        make(source)
    assert not (source / 'seen/cells.json').exists()  # it is written last


def test_a_kind_of_image_that_cannot_be_written(source):
    (source / 'pictures/a.raw').write_bytes((source / 'pictures/a.jpg').read_bytes())
    coco = json.loads((source / 'cells.json').read_text())
    coco['images'][0]['file_name'] = 'a.raw'
    (source / 'cells.json').write_text(json.dumps(coco))
    with pytest.raises(UserError, match=r"a\.raw: OpenCV cannot write an image of the kind '\.raw'; use JPEG or PNG"):
        make(source)


def test_the_command_says_where_the_file_is(source, capsys):
    command.main([str(source / 'cells.json'), str(source / 'pictures'), str(source / 'seen')])
    assert capsys.readouterr().out.strip().splitlines()[-1] == str(source / 'seen/cells.json')
