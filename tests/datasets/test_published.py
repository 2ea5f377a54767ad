"""Data sets as published: what is looked for, what is made. Small files of the same shape stand for the data."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest
import tiny_voc
from mmdet.datasets import VOCDataset
from PIL import Image

from sssd.datasets.archives import check_archives
from sssd.datasets.minival import MINIVAL, VAL_2014, VAL_2017, VAL_MINUS_MINIVAL, make_minival
from sssd.datasets.parts import Finding, read_objects
from sssd.datasets.published import COCO, COCO_35K, DATA_SETS, VOC
from sssd.errors import UserError


def write_images(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(folder / name)


def write_coco(path, names, ids=None):
    """A COCO file with one box an image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = list(ids or range(1, len(names) + 1))
    path.write_text(
        json.dumps(
            dict(
                images=[dict(id=i, file_name=name, width=5, height=4) for i, name in zip(ids, names)],
                annotations=[
                    dict(id=100 + i, image_id=i, category_id=1, bbox=[0, 0, 3, 3], area=9, iscrowd=0) for i in ids
                ],
                categories=[dict(id=1, name='person')],
            )
        )
    )


def small(data_set, **counts):
    """The data set with other published numbers: ``{part's last name: dict(images=...)}``."""
    return [
        dataclasses.replace(part, **counts.get(part.path.split('/')[-1].split('.')[0], {})) for part in data_set.parts
    ]


@pytest.fixture
def coco(tmp_path):
    names = [f'{i:012d}.jpg' for i in range(1, 5)]
    write_images(tmp_path / 'train2017', names)
    write_coco(tmp_path / 'annotations/instances_train2017.json', names)
    return tmp_path


def look(parts, root, **options):
    return {part.path: part.look(root, **options) for part in parts}


def test_the_published_numbers():
    """What is known from elsewhere of them: COCO's two releases share their images, VOC's objects that count."""
    coco, coco35k, voc = ({part.path: part for part in data_set.parts} for data_set in (COCO, COCO_35K, VOC))
    train, val = (coco[f'annotations/instances_{name}2017.json'] for name in ('train', 'val'))
    assert coco35k['train2014'].images + coco35k['val2014'].images == train.images + val.images == 123287
    assert coco35k[MINIVAL].images == val.images and train.boxes + val.boxes == 604907 + 291875
    assert coco35k[VAL_MINUS_MINIVAL].images + coco35k[MINIVAL].images == coco35k['val2014'].images
    counted = [part.boxes - part.difficult for part in voc.values() if part.boxes is not None]
    assert counted == [12608, 12032] and voc['VOC2012/ImageSets/Main/trainval.txt'].images == 11540


@pytest.mark.parametrize('data_set', DATA_SETS.values(), ids=DATA_SETS)
def test_every_archive_is_one_with_a_sum(data_set):
    sources = {source for part in data_set.parts for source in part.source.split(' and ')}
    assert sources == set(data_set.md5)
    assert all(len(value) == 32 and int(value, 16) for value in data_set.md5.values()) and data_set.pages


def test_nothing_there(tmp_path):
    for data_set in DATA_SETS.values():
        assert {finding.problem for finding in look(data_set.parts, tmp_path).values()} == {'missing'}


def test_folders_and_annotations_of_coco(coco):
    parts = small(COCO, train2017=dict(images=4), instances_train2017=dict(images=4, boxes=4))
    found = look(parts, coco)
    assert found['train2017'] == Finding('4 images')
    assert found['annotations/instances_train2017.json'] == Finding('4 images, 4 boxes')
    assert found['val2017'].problem == found['unlabeled2017'].problem == 'missing'


def test_other_numbers_than_published(coco):
    found = look(COCO.parts, coco)
    assert found['train2017'] == Finding('4 images', 'not as published')
    assert found['annotations/instances_train2017.json'] == Finding('4 images, 4 boxes', 'not as published')
    assert look(COCO.parts, coco, exact=False)['train2017'] == Finding('4 images')


def test_images_that_an_annotation_file_names_are_looked_for(coco):
    (coco / 'train2017/000000000003.jpg').unlink()
    (coco / 'train2017/000000000002.jpg').write_bytes(b'')
    found = look(COCO.parts, coco, exact=False)
    assert found['train2017'].problem == '1 files are empty, such as 000000000002.jpg'
    assert found['annotations/instances_train2017.json'].problem == (
        '1 files are not in train2017/, such as 000000000003.jpg'
    )


def test_a_broken_annotation_file_is_a_finding(coco):
    (coco / 'annotations/instances_train2017.json').write_text('{"images": [')
    assert 'is no valid JSON' in look(COCO.parts, coco)['annotations/instances_train2017.json'].problem


@pytest.fixture
def coco2014(tmp_path):
    names = [f'COCO_val2014_{i:012d}.jpg' for i in range(1, 7)]
    write_images(tmp_path / 'val2014', names)
    write_coco(tmp_path / VAL_2014, names)
    write_coco(tmp_path / VAL_2017, [f'{i:012d}.jpg' for i in (2, 5)], ids=(2, 5))
    return tmp_path


def read(path):
    coco = json.loads(path.read_text())
    return [image['id'] for image in coco['images']], [thing['image_id'] for thing in coco['annotations']]


def test_minival_is_val2017_and_the_rest_is_labelled(coco2014):
    assert make_minival(coco2014) == [coco2014 / MINIVAL, coco2014 / VAL_MINUS_MINIVAL]
    assert read(coco2014 / MINIVAL) == ([2, 5], [2, 5])
    assert read(coco2014 / VAL_MINUS_MINIVAL) == ([1, 3, 4, 6], [1, 3, 4, 6])
    found = look(
        small(COCO_35K, instances_minival2014=dict(images=2), instances_valminusminival2014=dict(images=4)), coco2014
    )
    assert found[MINIVAL] == Finding('2 images') and found[VAL_MINUS_MINIVAL] == Finding('4 images')


def test_files_of_minival_that_are_there_stay(coco2014):
    write_coco(coco2014 / MINIVAL, ['COCO_val2014_000000000002.jpg', 'COCO_val2014_000000000005.jpg'], ids=(2, 5))
    before = (coco2014 / MINIVAL).read_bytes()
    assert make_minival(coco2014) == [coco2014 / VAL_MINUS_MINIVAL]
    assert (coco2014 / MINIVAL).read_bytes() == before and make_minival(coco2014) == []


def test_without_val2017_nothing_is_made(coco2014):
    (coco2014 / VAL_2017).unlink()
    assert make_minival(coco2014) == [] and not (coco2014 / MINIVAL).exists()


def test_mistakes_about_minival(coco2014):
    write_coco(coco2014 / VAL_2017, ['a.jpg'], ids=(77,))
    with pytest.raises(UserError, match=r'instances_val2017\.json has 1 images that .* lacks, such as id 77'):
        make_minival(coco2014)
    write_coco(coco2014 / MINIVAL, ['a.jpg', 'b.jpg'], ids=(2, 5))
    write_coco(coco2014 / VAL_MINUS_MINIVAL, ['b.jpg', 'c.jpg'], ids=(5, 6))
    with pytest.raises(UserError, match='share 1 images, such as id 5.*remove both files'):
        make_minival(coco2014)


def test_image_sets_of_voc(tmp_path):
    root = tiny_voc.write_tiny_voc(tmp_path / 'VOCdevkit')
    train, test, unlabelled = look(VOC.parts, root, exact=False).values()
    assert train == Finding('4 images, 5 boxes, 2 of them difficult')
    assert test == Finding('4 images, 4 boxes, 2 of them difficult')
    assert unlabelled == Finding('3 images')
    assert look(VOC.parts, root)[VOC.parts[2].path].problem == 'not as published'


@pytest.mark.parametrize('path', ['VOC2007/JPEGImages/000002.jpg', 'VOC2007/Annotations/000002.xml'])
def test_missing_files_of_voc(tmp_path, path):
    root = tiny_voc.write_tiny_voc(tmp_path / 'VOCdevkit')
    (root / path).unlink()
    train = look(VOC.parts, root)['VOC2007/ImageSets/Main/trainval.txt']
    assert train.problem == f'1 files are missing, such as {path}'


def test_a_list_of_voc_that_is_no_text(tmp_path):
    root = tiny_voc.write_tiny_voc(tmp_path / 'VOCdevkit')
    (root / 'VOC2007/ImageSets/Main/trainval.txt').write_bytes(b'\xff\xfe\x00')
    assert 'no text file of image names' in look(VOC.parts, root)['VOC2007/ImageSets/Main/trainval.txt'].problem


def test_objects_are_those_that_mmdet_reads(tmp_path):
    """Parts of objects, such as heads, are none; a file without the flag has no difficult ones."""
    root = tiny_voc.write_tiny_voc(tmp_path)
    dataset = VOCDataset(
        data_root=str(root),
        ann_file='VOC2007/ImageSets/Main/trainval.txt',
        pipeline=[],
        data_prefix=dict(sub_data_root='VOC2007/'),
    )
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        ours = read_objects(root / f'VOC2007/Annotations/{info["img_id"]}.xml')
        theirs = [
            (dataset.METAINFO['classes'][thing['bbox_label']], thing['ignore_flag'] == 1) for thing in info['instances']
        ]
        assert ours == theirs
    path = root / 'plain.xml'
    path.write_text('<annotation><object><name>dog</name></object></annotation>')
    assert read_objects(path) == [('dog', False)]
    path.write_text('<annotation><object></object></annotation>')
    with pytest.raises(UserError, match='plain.xml is no VOC annotation file'):
        read_objects(path)


def test_sums_of_archives(tmp_path):
    (tmp_path / 'a.zip').write_bytes(b'content' * 1000)
    (tmp_path / 'b.zip').write_bytes(b'cut')
    sums = {name: hashlib.md5(b'content' * 1000).hexdigest() for name in ('a.zip', 'b.zip', 'c.zip')}
    assert check_archives(tmp_path, sums, progress=False) == {'a.zip': True, 'b.zip': False}
    with pytest.raises(UserError, match='has none of the archives c.zip'):
        check_archives(tmp_path, {'c.zip': ''}, progress=False)
