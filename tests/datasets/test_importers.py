"""Labels that are written are taken by the code of those who import them, where it is installed.

``pip install label-studio-sdk`` and ``pip install datumaro`` (CVAT reads COCO, VOC and YOLO by a fork of its 0.3) are
no part of the environment: they bring sixty packages and other versions of numpy. docs/ship.md tells which were tried.
"""

import json
import shutil

import pytest

from sssd.datasets.writers import write_labels


@pytest.fixture
def truth(make_tiny_coco, tmp_path):
    """Images in a folder and one within it, with scores, the last image without objects."""
    data = make_tiny_coco(tmp_path / 'truth', num_images=4, empty_last=True)
    coco = json.loads(data.ann_file.read_text())
    (data.img_dir / 'in side').mkdir()
    name = f'in side/ä {coco["images"][0]["file_name"]}'
    (data.img_dir / coco['images'][0]['file_name']).rename(data.img_dir / name)
    coco['images'][0]['file_name'] = name
    for number, thing in enumerate(coco['annotations']):
        thing['score'] = 0.5 + number / 100
    return coco, str(data.img_dir)


def test_label_studio_takes_the_tasks(truth, tmp_path):
    interface = pytest.importorskip('label_studio_sdk.label_interface', reason='label-studio-sdk is not installed')
    tasks, config = write_labels('labelstudio', *truth, tmp_path / 'out', version='detector')
    view = interface.LabelInterface(config.read_text())
    view.validate()
    for task in json.loads(tasks.read_text()):
        (prediction,) = task.pop('predictions')  # validate_task of 2.1 cannot have them with it
        assert view.validate_task(task) and view.validate_prediction(prediction, return_errors=True) == []
        for region in prediction['result']:
            region['value']['rectanglelabels'] = ['no class of it']
            assert not view.validate_prediction(prediction)


def boxes_of(dataset):
    """Name of the image without its extension: names of classes and corners of its boxes, sorted."""
    labels = next(iter(dataset.categories().values()))
    return {
        item.id: sorted(
            (labels[one.label].name, [round(float(side), 2) for side in one.points]) for one in item.annotations
        )
        for item in dataset
    }


def expected(coco, shift=0):
    """The same of COCO's content."""
    names = {each['id']: each['name'] for each in coco['categories']}
    found = {image['id']: [] for image in coco['images']}
    for thing in coco['annotations']:
        x, y, w, h = thing['bbox']
        corners = [float(side) for side in (x + shift, y + shift, x + w, y + h)]
        found[thing['image_id']].append((names[thing['category_id']], corners))
    return {image['file_name'].rsplit('.', 1)[0]: sorted(found[image['id']]) for image in coco['images']}


def test_datumaro_takes_coco_and_voc_as_cvat_does(truth, tmp_path):
    """A file of labels alone, and an archive of labels without images and with the classes of the task."""
    datumaro = pytest.importorskip('datumaro.components.dataset', reason='datumaro is not installed')
    (tmp_path / 'coco' / 'images').mkdir(parents=True)  # of COCO's own layout, for which 1.13 asks
    (path,) = write_labels('coco', *truth, tmp_path / 'coco' / 'annotations')
    assert boxes_of(datumaro.Dataset.import_from(str(path), 'coco_instances')) == expected(truth[0])
    write_labels('voc', *truth, tmp_path / 'voc')
    archive = tmp_path / 'archive'
    for name in ('Annotations', 'ImageSets'):
        shutil.copytree(tmp_path / 'voc' / name, archive / name)
    (archive / 'labelmap.txt').write_text('disc:::\nbar:::\n')
    found = boxes_of(datumaro.Dataset.import_from(str(archive), 'voc'))
    assert found == expected(truth[0], shift=1)  # it takes the first pixel of VOC, 1, for a corner


def test_datumaro_takes_yolo(truth, tmp_path):
    datumaro = pytest.importorskip('datumaro.components.dataset', reason='datumaro is not installed')
    coco, images = truth
    coco['images'] = coco['images'][1:]  # folders within it are CVAT's own
    ids = {image['id'] for image in coco['images']}
    coco['annotations'] = [thing for thing in coco['annotations'] if thing['image_id'] in ids]
    write_labels('yolo', coco, images, tmp_path / 'yolo')
    try:
        found = boxes_of(datumaro.Dataset.import_from(str(tmp_path / 'yolo'), 'yolo'))
    except Exception as error:
        if 'obj.data' in str(error) or 'yolo' in str(error):
            pytest.skip(f'this datumaro has no form of Ultralytics: {error}')
        raise
    for name, boxes in expected(coco).items():
        assert [each[0] for each in found[name]] == [each[0] for each in boxes]
        for each, box in zip(found[name], boxes):
            assert each[1] == pytest.approx(box[1], abs=0.02)
