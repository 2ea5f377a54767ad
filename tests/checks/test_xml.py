"""VOC's XML files under mmdet's XMLDataset: sizes, boxes and what is used, equal to what the built data set has."""

from pathlib import Path

import numpy as np
import pytest
import tiny_voc
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image

from sssd.checks.data import examine
from sssd.checks.usage import usage_of
from sssd.checks.voc_table import read_voc
from sssd.registry import DATASETS

CLASSES = ('dog', 'car')


class Voc:
    """The tiny set as 2007 has it, in a config that trains on one list and evaluates on the other."""

    def __init__(self, root):
        self.root = tiny_voc.write_tiny_voc(root) / 'VOC2007'
        init_default_scope('mmdet')
        common = dict(
            type='XMLDataset',
            data_root=f'{self.root}/',
            data_prefix=dict(sub_data_root=''),
            metainfo=dict(classes=CLASSES),
            pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)],
        )
        train = dict(common, ann_file='ImageSets/Main/trainval.txt', filter_cfg=dict(filter_empty_gt=False))
        val = dict(common, ann_file='ImageSets/Main/test.txt', test_mode=True)
        self.cfg = Config(
            dict(
                model=dict(),
                train_dataloader=dict(batch_size=1, dataset=train),
                val_dataloader=dict(batch_size=1, dataset=val),
            )
        )

    @property
    def train(self):
        return self.cfg.train_dataloader.dataset

    def xml(self, name='000002'):
        return self.root / f'Annotations/{name}.xml'

    def replace(self, old, new, name='000002'):
        text = self.xml(name).read_text()
        assert old in text
        self.xml(name).write_text(text.replace(old, new))

    def boxes(self, *boxes, name='000002', kind='dog'):
        self.xml(name).write_text(tiny_voc.xml_of(name, [(kind, 0, box) for box in boxes]))

    def findings(self, thorough=True, level=None):
        self.run = examine(self.cfg, ('train', 'val'), thorough)
        found = [each for each in self.run.findings.found if level is None or each.level == level]
        return {each.kind: each for each in reversed(found)}


@pytest.fixture
def voc(tmp_path):
    return Voc(tmp_path / 'VOCdevkit')


def test_a_sound_set(voc):
    found = voc.findings()
    warned = found.pop('class-without-box')
    found.pop('same-content', None)  # the images without an object are alike
    assert warned.level == 'warning' and warned.examples == ('car',), 'all of them are difficult'
    assert {each.level for each in found.values()} == {'note'}
    assert "1 box is of classes that metainfo.classes does not name ('cat')" in found['other-classes'].text
    assert 'trains on 2 of the 4 boxes of' in found['boxes-unused'].text
    assert 'left out: 2 marked as difficult.' in found['boxes-unused'].text


@pytest.mark.parametrize('rules', [None, dict(filter_empty_gt=True), dict(min_size=32), dict(bbox_min_size=32)])
@pytest.mark.parametrize('indices, test_mode', [(None, False), (3, False), ([0, 1], False), (None, True)])
def test_the_numbers_are_those_of_the_data_set(voc, rules, indices, test_mode):
    if test_mode and rules and 'bbox_min_size' in rules:
        rules = None
    voc.replace('<width>96', '<width>20', '000002')
    voc.train.update(filter_cfg=rules, indices=indices, test_mode=test_mode)
    names = list(tiny_voc.TRAINVAL)
    folder, least = f'{voc.root}/Annotations', (rules or {}).get('bbox_min_size')
    table = read_voc('list', names, folder, CLASSES, least).table
    usage = usage_of(table, CLASSES, voc.train)
    built = DATASETS.build(voc.train)
    infos = [built.get_data_info(place) for place in range(len(built))]
    assert [names[place] for place in usage.images] == [info['img_id'] for info in infos]
    assert [tuple(table.sizes[place]) for place in usage.images] == [(i['width'], i['height']) for i in infos]
    things = [thing for info in infos for thing in info['instances']]
    assert usage.boxes.sum() == sum(not thing['ignore_flag'] for thing in things) > 0
    kept = np.isin(table.image, usage.images)
    corners = np.concatenate([table.boxes[:, :2], table.boxes[:, :2] + table.boxes[:, 2:]], axis=1)
    assert corners[kept].tolist() == [thing['bbox'] for thing in things]
    assert [table.kinds[place] for place in np.flatnonzero(kept)] == [thing['bbox_label'] for thing in things]
    empty = [info for info in infos if all(thing['ignore_flag'] for thing in info['instances'])]
    assert usage.without_box == len(empty)


def test_reasons_are_told(voc):
    voc.train.filter_cfg = dict(filter_empty_gt=True, min_size=32, bbox_min_size=32)
    voc.replace('<width>96', '<width>20', '000003')
    found = voc.findings()
    text = found['boxes-unused'].text
    assert 'trains on 1 of the 4 boxes' in text
    assert 'left out: 2 marked as difficult; 1 with a side below filter_cfg.bbox_min_size' in text
    assert 'uses 2 of the 4 images' in found['images-unused'].text
    assert '1 without an object of the classes (filter_cfg.filter_empty_gt)' in found['images-unused'].text
    assert '1 smaller than 32 pixels (filter_cfg.min_size)' in found['images-unused'].text
    assert '1 of 4 images looked at' in found['size'].text and '20 x 72' in found['size'].text


@pytest.mark.parametrize(
    'boxes, kind, level, words',
    [
        ([(5, 5, 300, 40)], 'outside', 'error', '1 of 4 boxes reaches far outside of its image (such as annotation 0'),
        ([(50, 5, 20, 40)], 'negative', 'error', '1 of 4 boxes has a negative width or height'),
        ([(50, 5, 50, 40)], 'tiny', 'warning', 'mmdet trains on it all the same'),
        ([('nan', 5, 50, 40)], 'not-finite', 'error', '1 of 4 boxes has a coordinate that is NaN or infinite'),
        ([('inf', 5, 50, 40)], 'not-finite', 'error', '1 of 4 boxes'),
        ([(0, 5, 50, 40), (1.5, 5, 50, 40)], 'from-zero', 'note', '2 of 5 boxes have a corner at 0'),
    ],
)
def test_boxes(voc, boxes, kind, level, words):
    voc.boxes(*boxes)
    found = voc.findings()[kind]
    assert found.level == level and words in found.text and str(voc.root) in found.text
    if kind != 'from-zero':
        assert found.examples == ('000002.xml, line 4',)


def test_normalised_boxes(voc):
    for name in ('000001', '000002', '000003'):
        voc.boxes((0.1, 0.2, 0.5, 0.6), (0, 0, 1, 1), name=name)
    found = voc.findings()['normalised']
    assert found.level == 'error' and '6 of 6 boxes have coordinates from 0 to 1' in found.text
    assert 'multiply xmin and xmax by the width' in found.text


def test_sides_in_the_place_of_corners(voc):
    for name in ('000001', '000002', '000003'):
        voc.boxes((10, 10, 20, 20), (60, 40, 30, 20), name=name)
    found = voc.findings()
    assert 'negative' not in found and found['corners'].count == 3
    assert '3 of 6 boxes end before they begin' in found['corners'].text


def test_photos_that_the_loader_turns(voc):
    path = voc.root / 'JPEGImages/000001.jpg'
    with Image.open(path) as image:
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(path, exif=exif)
    assert '1 of 4 images looked at has an EXIF tag' in voc.findings()['exif'].text


def test_a_class_without_a_box_and_one_that_is_spelt_otherwise(voc):
    for name in ('000001', '000003'):
        voc.replace('<name>car<', '<name>Car <', name)
    found = voc.findings()
    assert found['class-without-box'].examples == ('car',)
    assert "'Car ' is nearly 'car'" in found['other-classes'].text and found['other-classes'].level == 'warning'


def test_sizes_that_are_absent_or_0(voc):
    voc.replace('<size><width>96</width><height>72</height><depth>3</depth></size>', '', '000001')
    assert 'size' not in voc.findings()
    voc.replace('<width>96', '<width>0')
    found = voc.findings()
    assert 'size' not in found and '1 of 4 XML files looked at says' in found['size-0'].text
    voc.train.filter_cfg = dict(min_size=32)
    assert 'uses 3 of the 4 images' in voc.findings()['images-unused'].text
    assert len(DATASETS.build(voc.train)) == 3


@pytest.mark.parametrize(
    'old, new, words',
    [
        ('<xmin>50<', '<xmin>left<', "000002.xml, line 8: <xmin> is 'left', but has to be a number"),
        ('<xmin>50</xmin>', '', '<xmin> is missing or empty'),
        ('<difficult>0<', '<difficult><', '<difficult> is missing or empty'),
        ('<width>96<', '<width>96.0<', "<width> is '96.0', but has to be a whole number"),
        ('<name>dog</name>', '', 'an <object> has no <name>'),
        ('</annotation>', '', 'is no VOC annotation file'),
        ('<annotation>', '<!DOCTYPE a [<!ENTITY b "c">]><annotation>', 'declares entities'),
    ],
)
def test_labels_on_which_mmdet_fails(voc, old, new, words):
    voc.replace(old, new)
    found = voc.findings(level='error')
    assert set(found) == {'xml'} and words in found['xml'].text and '\n' not in found['xml'].text
    if 'ENTITY' not in new:
        with pytest.raises((ValueError, TypeError, AttributeError, SyntaxError)):
            DATASETS.build(voc.train)


def test_all_kinds_of_faults_are_told_at_once(voc):
    voc.replace('<width>96<', '<width>96.0<', '000001')
    voc.replace('<xmin>50<', '<xmin>left<')
    voc.findings()
    texts = [each.text for each in voc.run.findings.of('error')]
    assert len(texts) == 2 and '000001' in texts[0] and '000002' in texts[1]


def test_images_that_are_listed_twice(voc):
    path = Path(voc.root / 'ImageSets/Main/trainval.txt')
    path.write_text(path.read_text() + '000001\n')
    found = voc.findings()['duplicate-file']
    assert 'names 1 image several times (000001)' in found.text and found.count == 1
    assert len(DATASETS.build(voc.train)) == 5


def test_a_rule_that_mmdet_refuses_in_an_evaluation(voc):
    voc.cfg.val_dataloader.dataset.filter_cfg = dict(bbox_min_size=3)
    assert 'bbox_min_size does not go with test_mode' in voc.findings()['config'].text
