"""The embedded data set."""

import hashlib
import json

import cv2
import numpy as np
import pytest

from sssd.cli import toy as toy_cli
from sssd.datasets.recapture import VERSION as RECAPTURE_VERSION
from sssd.datasets.toy import VERSION, labeled_order, make_toy, toy_image
from sssd.datasets.toy_scene import MAX_SIZE, MIN_SIZE, MIN_VISIBLE
from sssd.datasets.toy_shapes import CLASSES
from sssd.errors import UserError

#: Mean value of the first training images of seed 0 by camera.
MEANS = dict(plain=[108.625, 91.867, 37.698, 90.785], varied=[112.92, 58.726, 51.107, 191.512])
LABELED_ORDER = [7, 4, 9, 3, 8, 2, 6, 0, 5, 1]


@pytest.fixture(scope='module')
def scenes():
    return [toy_image(0, 'train', index) for index in range(250)]


@pytest.fixture
def small(tmp_path):
    paths = make_toy(tmp_path / 'toy', 12, 3, 4, seed=1, progress=False)
    return tmp_path / 'toy', paths


def read(path):
    return json.loads(path.read_text())


def hashes(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_an_image_depends_on_its_index_alone(small, tmp_path):
    root, _ = small
    make_toy(tmp_path / 'larger', 20, 2, 5, seed=1, progress=False)
    first, larger = hashes(root / 'images/train'), hashes(tmp_path / 'larger/images/train')
    assert len(first) == 12 and len(larger) == 20
    assert first == {name: larger[name] for name in first}
    shared = read(tmp_path / 'larger/train.json')['annotations']
    assert read(root / 'train.json')['annotations'] == [a for a in shared if a['image_id'] < 12]


def test_two_runs_give_the_same_pixels_and_other_seeds_do_not():
    image, objects = toy_image(3, 'train', 5)
    again, same_objects = toy_image(3, 'train', 5)
    assert np.array_equal(image, again) and objects == same_objects
    for other in ((4, 'train', 5), (3, 'val', 5), (3, 'train', 6)):
        other_image = toy_image(*other)[0]
        assert other_image.shape != image.shape or not np.array_equal(other_image, image)


def test_the_varied_camera_takes_other_pictures_of_the_same_scenes():
    plain, objects = zip(*(toy_image(0, 'train', index) for index in range(40)), strict=True)
    varied, same_objects = zip(*(toy_image(0, 'train', index, 'varied') for index in range(40)), strict=True)
    assert same_objects == objects and [image.shape for image in varied] == [image.shape for image in plain]
    assert all(image.dtype == np.uint8 for image in varied)
    # The colours of an image tell its camera: between images they differ far more than the plain camera's do.
    spread = [
        np.std([np.log((image.reshape(-1, 3) + 1.0).mean(0)) for image in images], axis=0) for images in (plain, varied)
    ]
    assert (spread[1] > 1.2 * spread[0]).all()
    again = toy_image(0, 'train', 7, 'varied')[0]
    assert np.array_equal(again, varied[7])


@pytest.mark.parametrize('camera', sorted(MEANS))
def test_the_pictures_are_those_of_their_version(camera):
    """Who changes them raises VERSION, and for a camera that of recapture.py, or old data would pass for new."""
    means = [toy_image(0, 'train', index, camera)[0].mean() for index in range(4)]
    assert means == pytest.approx(MEANS[camera], abs=0.02)
    assert (VERSION, RECAPTURE_VERSION) == (3, 1)


def test_sizes_cover_a_decade_evenly(scenes):
    sizes = []
    for image, objects in scenes:
        area = image.shape[0] * image.shape[1]
        for thing in objects:
            x1, y1, x2, y2 = thing.box
            sizes.append(np.sqrt((x2 - x1) * (y2 - y1) / area))
    assert MAX_SIZE / MIN_SIZE > 10
    assert min(sizes) < 1.2 * MIN_SIZE and max(sizes) > MAX_SIZE / 1.2
    edges = np.geomspace(MIN_SIZE, MAX_SIZE, 4)
    thirds = np.histogram(sizes, edges)[0] / len(sizes)
    assert thirds.min() > 0.15


def test_classes_orientations_and_empty_images(scenes):
    labels = [thing.label for _, objects in scenes for thing in objects]
    counts = np.bincount(labels, minlength=len(CLASSES))
    assert len(counts) == len(CLASSES) == 5 and counts.min() > 0.7 * counts.mean()
    shapes = [image.shape for image, _ in scenes]
    assert set(shapes) == {(192, 256, 3), (256, 192, 3)}
    assert 0.65 < np.mean([shape == (192, 256, 3) for shape in shapes]) < 0.85
    numbers = [len(objects) for _, objects in scenes]
    assert 0 < np.mean(np.equal(numbers, 0)) < 0.08 and max(numbers) <= 9


def test_colour_alone_does_not_tell_the_class(scenes):
    """Colour is a hint (COLOUR_CUE): a nearest-mean classifier on it does well, and is still wrong for one in eight."""
    colours, labels = [], []
    for image, objects in scenes:
        for thing in objects:
            x1, y1, x2, y2 = thing.box
            colours.append(image[int(y1 + y2) // 2, int(x1 + x2) // 2].astype(float))
            labels.append(thing.label)
    colours, labels = np.array(colours), np.array(labels)
    means = np.array([colours[labels == label].mean(0) for label in range(len(CLASSES))])
    guess = np.linalg.norm(colours[:, None] - means, axis=2).argmin(1)
    assert 0.4 < np.mean(guess == labels) < 0.875


def test_boxes_lie_inside_and_objects_stay_visible(scenes):
    hidden = 0
    for image, objects in scenes:
        height, width = image.shape[:2]
        for thing in objects:
            x1, y1, x2, y2 = thing.box
            assert 0 <= x1 and 0 <= y1 and x2 <= width and y2 <= height
            assert x2 - x1 >= 4 and y2 - y1 >= 4 and thing.area > 0
            assert MIN_VISIBLE <= thing.visible <= 1
            hidden += thing.visible < 0.9
    assert hidden > 30  # occlusion does happen


def test_files_and_splits(small):
    root, paths = small
    train, labeled, unlabeled, val = (read(paths[name]) for name in ('train', 'labeled', 'unlabeled', 'val'))
    ids = [{image['id'] for image in part['images']} for part in (train, labeled, unlabeled)]
    assert [len(part) for part in ids] == [12, 4, 8] and len(val['images']) == 3
    assert ids[1] | ids[2] == ids[0] and not ids[1] & ids[2]
    assert unlabeled['annotations'] == []
    assert labeled['annotations'] == [a for a in train['annotations'] if a['image_id'] in ids[1]]
    assert [category['name'] for category in train['categories']] == list(CLASSES)
    assert train['info']['version'] == VERSION and train['info']['seed'] == 1
    names = {image['file_name'] for image in unlabeled['images']}
    assert {path.name for path in paths['unlabeled_images'].iterdir()} == names
    for image in train['images']:
        pixels = cv2.imread(str(root / 'images/train' / image['file_name']))
        assert pixels.shape == (image['height'], image['width'], 3)


def test_another_number_of_labels_rewrites_the_split_only(small):
    root, paths = small
    before = {path: path.stat().st_mtime_ns for path in (root / 'images/train').iterdir()}
    few = {image['id'] for image in read(paths['labeled'])['images']}
    stamp = paths['train'].stat().st_mtime_ns
    make_toy(root, 12, 3, 7, seed=1, progress=False)
    more = {image['id'] for image in read(paths['labeled'])['images']}
    assert len(more) == 7 and few < more
    assert len(list(paths['unlabeled_images'].iterdir())) == 5
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert paths['train'].stat().st_mtime_ns == stamp


def test_damage_is_mended_and_another_seed_redraws(small):
    root, paths = small
    good = hashes(root / 'images/train')
    (root / 'images/train/000002.jpg').unlink()
    make_toy(root, 12, 3, 4, seed=1, progress=False)
    assert hashes(root / 'images/train') == good
    make_toy(root, 9, 3, 4, seed=2, progress=False)
    redrawn = hashes(root / 'images/train')
    assert len(redrawn) == 9 and not set(redrawn.values()) & set(good.values())
    assert len(list(paths['unlabeled_images'].iterdir())) == 5


def test_another_camera_redraws_and_is_on_record(small):
    root, paths = small
    good, scenes = hashes(root / 'images/train'), read(paths['train'])['annotations']
    assert 'camera' not in read(paths['train'])['info']
    make_toy(root, 12, 3, 4, seed=1, camera='varied', progress=False)
    assert not set(hashes(root / 'images/train').values()) & set(good.values())
    assert [read(paths[name])['info']['camera'] for name in ('train', 'labeled', 'unlabeled', 'val')] == ['varied'] * 4
    assert read(paths['train'])['annotations'] == scenes
    make_toy(root, 12, 3, 4, seed=1, progress=False)
    assert hashes(root / 'images/train') == good


def test_an_unknown_camera_is_refused(tmp_path):
    with pytest.raises(UserError, match="camera='phone' is unknown; use one of plain, varied"):
        make_toy(tmp_path / 'toy', 4, 1, 1, camera='phone', progress=False)
    assert not (tmp_path / 'toy').exists()


def test_the_split_is_stable():
    assert labeled_order(10, 0) == LABELED_ORDER
    assert sorted(labeled_order(10, 1)) == list(range(10)) and labeled_order(10, 1) != LABELED_ORDER


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    photo = tmp_path / 'images/train/000000.jpg'
    photo.parent.mkdir(parents=True)
    photo.write_bytes(b'precious')
    with pytest.raises(UserError, match='holds other files.*give a new folder'):
        make_toy(tmp_path, 4, 1, 1, progress=False)
    assert photo.read_bytes() == b'precious'


def test_labels_of_images_with_small_objects_alone(tmp_path):
    def make(num_labeled, labeled_below):
        return make_toy(tmp_path, 30, 1, num_labeled, progress=False, labeled_below=labeled_below)

    images = hashes(make(5, 1.0)['unlabeled_images'].parent / 'images/train')
    coco = read(tmp_path / 'train.json')
    small = {annotation['image_id'] for annotation in coco['annotations']}
    for annotation in coco['annotations']:
        width, height = annotation['bbox'][2:]
        if np.sqrt(width * height / (192 * 256)) >= 0.45:
            small.discard(annotation['image_id'])
    assert 2 <= len(small) < 30
    chosen = [index for index in labeled_order(30, 0) if index in small][:2]
    paths = make(2, 0.45)
    labeled, unlabeled = read(paths['labeled']), read(paths['unlabeled'])
    assert {image['id'] for image in labeled['images']} == set(chosen)
    assert {annotation['image_id'] for annotation in labeled['annotations']} == set(chosen)
    assert len(unlabeled['images']) == len(list(paths['unlabeled_images'].iterdir())) == 28
    assert labeled['info']['labeled_below'] == 0.45 and 'labeled_below' not in coco['info']
    assert hashes(tmp_path / 'images/train') == images  # not drawn anew
    with pytest.raises(UserError, match=f'{len(small)} of the 30 training images .* below 0.45 alone.*num_labeled'):
        make(len(small) + 1, 0.45)
    for impossible in (0.0, 1.5):
        with pytest.raises(UserError, match=f'labeled_below={impossible} is a share'):
            make(2, impossible)
    make(2, 1.0)
    assert {image['id'] for image in read(paths['labeled'])['images']} == set(labeled_order(30, 0)[:2])


def test_a_refused_part_leaves_none_of_other_images(tmp_path):
    paths = make_toy(tmp_path, 4, 1, 2, progress=False)
    with pytest.raises(UserError, match='of the 4 training images'):
        make_toy(tmp_path, 4, 1, 3, seed=1, progress=False, labeled_below=0.071)
    assert read(paths['train'])['info']['seed'] == 1
    assert not paths['labeled'].exists() and not paths['unlabeled'].exists()
    assert not list(paths['unlabeled_images'].iterdir())


@pytest.mark.parametrize(
    'numbers, words',
    [
        ((1, 1, 1, 0), 'num_train=1'),
        ((4, 0, 1, 0), 'num_val=0'),
        ((4, 1, 4, 0), 'num_labeled=4'),
        ((4, 1, 0, 0), 'num_labeled=0'),
        ((4, 1, 1, -1), 'seed=-1'),
    ],
)
def test_impossible_numbers(tmp_path, numbers, words):
    with pytest.raises(UserError, match=words):
        make_toy(tmp_path / 'toy', *numbers, progress=False)
    assert not (tmp_path / 'toy').exists()


def test_the_command_says_where_the_files_are(tmp_path, capsys):
    toy_cli.main([str(tmp_path / 'toy'), '--num-train', '4', '--num-val', '1', '--num-labeled', '1'])
    assert f'labeled: {tmp_path}/toy/labeled.json' in capsys.readouterr().out
    assert len(read(tmp_path / 'toy/labeled.json')['images']) == 1
    toy_cli.main(
        [str(tmp_path / 'seen'), '--num-train', '4', '--num-val', '1', '--num-labeled', '1', '--camera', 'varied']
    )
    assert read(tmp_path / 'seen/train.json')['info']['camera'] == 'varied'
    toy_cli.main(
        [str(tmp_path / 'toy'), '--num-train', '4', '--num-val', '1', '--num-labeled', '1', '--labeled-below', '0.74']
    )
    assert read(tmp_path / 'toy/labeled.json')['info']['labeled_below'] == 0.74
