"""Labels that are written come back through the reader of each form; images stay where they are."""

import json
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from label_forms import boxes_of
from pycocotools.coco import COCO

from sssd.datasets.labels import read_labels
from sssd.datasets.writers import write_labels
from sssd.errors import UserError


@pytest.fixture
def truth(make_tiny_coco, tmp_path):
    """A set of images in two folders, with scores, the last image without objects."""
    data = make_tiny_coco(tmp_path / 'truth', num_images=5, empty_last=True)
    coco = json.loads(data.ann_file.read_text())
    (data.img_dir / 'deep images' / 'images').mkdir(parents=True)
    for image in coco['images'][:2]:
        name = f'deep images/images/{image["file_name"]}'
        (data.img_dir / image['file_name']).rename(data.img_dir / name)
        image['file_name'] = name
    for number, thing in enumerate(coco['annotations']):
        thing['score'] = 0.5 + number / 100
    return coco, str(data.img_dir)


@pytest.mark.parametrize('form', ['coco', 'yolo', 'voc'])
def test_the_reader_takes_what_is_written(truth, tmp_path, form):
    coco, images = truth
    before = sorted(path for path in (tmp_path / 'truth/images').rglob('*'))
    write_labels(form, coco, images, tmp_path / 'out')
    labels = read_labels(tmp_path / 'out')
    found, expected = boxes_of(labels.coco), boxes_of(coco)
    assert found.keys() == expected.keys() and len(labels.coco['images']) == 5
    for name, boxes in expected.items():
        assert [box[0] for box in found[name]] == [box[0] for box in boxes]
        assert [box[1:] for box in found[name]] == [pytest.approx(box[1:], abs=1e-3) for box in boxes]
    assert sorted(path for path in (tmp_path / 'truth/images').rglob('*')) == before


def test_coco_is_taken_by_pycocotools_with_its_scores(truth, tmp_path):
    (path,) = write_labels('coco', *truth, tmp_path / 'out')
    loaded = COCO(str(path))
    assert len(loaded.getImgIds()) == 5 and [thing['name'] for thing in loaded.cats.values()] == ['disc', 'bar']
    assert {thing['score'] for thing in loaded.anns.values()} == {thing['score'] for thing in truth[0]['annotations']}
    assert all(thing['segmentation'] == [] for thing in loaded.anns.values())


def test_broken_pixels_become_whole_ones_within_the_image_in_voc(truth, tmp_path):
    coco, images = truth
    image = coco['images'][2]
    coco['annotations'] = [
        dict(id=1, image_id=image['id'], category_id=1, bbox=[3.4, 2.6, 10.3, 5.1]),
        dict(id=2, image_id=image['id'], category_id=1, bbox=[image['width'] - 0.4, 0.0, 0.4, image['height']]),
    ]
    write_labels('voc', coco, images, tmp_path / 'out')
    (first, second) = read_labels(tmp_path / 'out').coco['annotations']
    assert first['bbox'] == [3, 3, 11, 5]
    assert second['bbox'] == [image['width'] - 1, 0, 1, image['height']]


def test_label_studio_has_percent_scores_and_the_model(truth, tmp_path):
    """As its guide on importing pre-annotations documents them."""
    coco, images = truth
    tasks, config = write_labels('labelstudio', coco, images, tmp_path / 'out', version='detector, teacher')
    tasks = json.loads(tasks.read_text())
    view = ElementTree.fromstring(config.read_text())
    image, labels = view.find('Image'), view.find('RectangleLabels')
    assert [label.get('value') for label in labels] == ['disc', 'bar'] and len(tasks) == 5
    assert labels.get('toName') == image.get('name') and image.get('value') == '$image'
    for task, source in zip(tasks, coco['images']):
        assert unquote(task['data']['image']) == f'/data/local-files/?d={source["file_name"]}'
        (prediction,) = task['predictions']
        things = [thing for thing in coco['annotations'] if thing['image_id'] == source['id']]
        assert prediction['model_version'] == 'detector, teacher' and len(prediction['result']) == len(things)
        assert ('score' in prediction) == bool(things)
        for region, thing in zip(prediction['result'], things):
            assert region['from_name'] == labels.get('name') and region['to_name'] == image.get('name')
            assert region['type'] == 'rectanglelabels' and region['image_rotation'] == 0
            size = (region['original_width'], region['original_height'])
            assert size == (source['width'], source['height']) and region['score'] == thing['score']
            value = region['value']
            assert value['rectanglelabels'] == [['disc', 'bar'][thing['category_id'] - 1]] and value['rotation'] == 0
            pixels = [value[key] * side / 100 for key, side in zip(('x', 'y', 'width', 'height'), size * 2)]
            assert pixels == pytest.approx(thing['bbox'], abs=1e-3)
    ids = [region['id'] for task in tasks for region in task['predictions'][0]['result']]
    assert len(set(ids)) == len(coco['annotations'])


def test_labels_lie_below_labels_in_yolo(truth, tmp_path):
    """Also those of a folder ``images`` among the images, whose name a reader would turn into ``labels``."""
    coco, images = truth
    write_labels('yolo', coco, images, tmp_path / 'out')
    texts = sorted(str(path.relative_to(tmp_path / 'out')) for path in (tmp_path / 'out').rglob('*.txt'))
    names = sorted(f'{image["file_name"][:-4]}.txt'.replace('/images/', '/images_/') for image in coco['images'])
    assert texts == [*(f'labels/train/{name}' for name in names), 'train.txt']
    for line in (tmp_path / 'out/train.txt').read_text().splitlines():
        assert (tmp_path / 'out' / line).is_file()
        label = '/labels/'.join(f'/{line}'.rsplit('/images/', 1))  # as Ultralytics does
        assert (tmp_path / 'out' / f'{label[1:-4]}.txt').is_file()


@pytest.mark.parametrize('form', ['yolo', 'voc'])
def test_images_that_would_share_a_file_are_refused(truth, tmp_path, form):
    coco, images = truth
    coco['images'][3]['file_name'] = coco['images'][2]['file_name'].replace('.png', '.jpg')
    with pytest.raises(UserError, match='0002.png.* would have one file of labels'):
        write_labels(form, coco, images, tmp_path / 'out')
