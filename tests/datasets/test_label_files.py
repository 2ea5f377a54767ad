"""Where the files of VOC and YOLO lie and how they are called: sub-folders, suffixes in capitals, several folders."""

import os
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import label_forms
import pytest
from label_forms import boxes_of, check
from PIL import Image

from sssd.datasets.labels import own_validation, parts_of, read_labels
from sssd.datasets.writers import write_labels
from sssd.errors import UserError

NAMES = ['disc', 'bar']


@pytest.fixture
def train(make_tiny_coco, tmp_path, monkeypatch):
    """Six images; the folder above is the present one."""
    monkeypatch.chdir(tmp_path)
    return make_tiny_coco(tmp_path / 'truth', num_images=6)


@pytest.fixture
def val(make_tiny_coco, tmp_path):
    return make_tiny_coco(tmp_path / 'truth_val', num_images=3, seed=1)


@pytest.fixture
def yolo(train):
    """The six images in YOLO's form."""
    truth = label_forms.write_yolo_part(train, Path('yolo/images/train'), Path('yolo/labels/train'), NAMES)
    Path('yolo/data.yaml').write_text('train: images/train\nnames: [disc, bar]\n')
    return truth


def names_of(labels):
    return [image['file_name'] for image in labels.coco['images']]


def move(names, place, folders=('voc/JPEGImages', 'voc/Annotations'), suffixes=('.png', '.xml')):
    """Move images and their XML files into a sub-folder of theirs."""
    for folder, suffix in zip(folders, suffixes):
        Path(folder, place).mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.move(f'{folder}/{name}{suffix}', f'{folder}/{place}')


@pytest.mark.parametrize('name', ['images', 'JPEGImages', 'img'])
def test_images_beside_the_xml_files_come_before_those_of_a_folder_beside(train, name):
    truth = label_forms.write_voc(train, 'data/mine', flat=True)
    shutil.copytree('data/mine', f'data/{name}', ignore=shutil.ignore_patterns('*.xml'))
    labels = read_labels('data/mine')
    assert labels.images == 'data/mine' and boxes_of(labels.coco) == boxes_of(truth)


def test_the_folder_with_the_images_is_found_among_others(train):
    label_forms.write_voc(train, 'voc')
    Path('voc/Annotations/0000.png').write_bytes(b'a picture of the boxes')
    Path('voc/images').mkdir()
    shutil.copy('voc/JPEGImages/0001.png', 'voc/images')
    assert read_labels('voc').images == 'voc/JPEGImages'
    shutil.move('voc/JPEGImages', 'voc/img')
    Path('voc/JPEGImages').mkdir()
    assert read_labels('voc').images == 'voc/img'


@pytest.mark.parametrize('kind', ['lists', 'folders', 'beside'])
def test_all_parts_count_coordinates_from_where_one_of_them_does(train, kind):
    label_forms.write_voc(train, 'voc')
    path = Path('voc/Annotations/0000.xml')
    path.write_text(re.sub('<xmin>[0-9]+<', '<xmin>0<', path.read_text()))
    parts = dict(train=['0000', '0001', '0002'], val=['0003', '0004', '0005'])
    if kind == 'lists':
        Path('voc/ImageSets/Main').mkdir(parents=True)
        for part, names in parts.items():
            Path(f'voc/ImageSets/Main/{part}.txt').write_text('\n'.join(names))
    elif kind == 'folders':
        for part, names in parts.items():
            move(names, part)
    else:
        for part, names in parts.items():
            Path('sets', part).mkdir(parents=True)
            move(names, part, ('voc/JPEGImages', 'voc/Annotations'))
            for place in (f'voc/JPEGImages/{part}', f'voc/Annotations/{part}'):
                shutil.copytree(place, f'sets/{part}', dirs_exist_ok=True)
    place = 'sets' if kind == 'beside' else 'voc'
    val, first = own_validation(place), ElementTree.parse(next(Path('voc').rglob('0003.xml'))).find('object/bndbox')
    corner = [float(first.findtext(side)) for side in ('xmin', 'ymin')]
    (box,) = [thing['bbox'] for thing in val.coco['annotations'] if thing['image_id'] == 1][:1]
    assert box[:2] == corner and read_labels(place).notes[0].startswith('coordinates count from 0')
    if kind == 'beside':
        assert read_labels('sets/val').coco['annotations'][0]['bbox'][:2] == corner


def test_two_xml_files_of_one_image_are_refused(train):
    label_forms.write_voc(train, 'voc')
    shutil.copy('voc/Annotations/0001.xml', 'voc/Annotations/0001 (copy).xml')
    with pytest.raises(UserError, match=r'0001 \(copy\)\.xml and .*0001\.xml would be labels of the same image: take'):
        read_labels('voc')


def test_xml_files_in_sub_folders(train):
    truth = label_forms.write_voc(train, 'voc')
    move(['0001', '0002'], 'a/b')
    move(['0003'], 'c')
    labels = read_labels('voc')
    assert set(names_of(labels)) == {'0000.png', 'a/b/0001.png', 'a/b/0002.png', 'c/0003.png', '0004.png', '0005.png'}
    assert boxes_of(labels.coco) == boxes_of(truth) and labels.notes == ()
    Path('voc/ImageSets/Main').mkdir(parents=True)
    Path('voc/ImageSets/Main/train.txt').write_text('a/b/0001\n./0004\nc/0003 1\n')
    assert names_of(read_labels('voc')) == ['a/b/0001.png', '0004.png', 'c/0003.png']
    shutil.rmtree('voc/ImageSets')
    move(['0000', '0004', '0005'], 'c')
    assert len(read_labels('voc').coco['images']) == len(read_labels('voc/Annotations').coco['images']) == 6


def test_equal_names_in_two_sub_folders_are_two_images(train):
    truth = label_forms.write_voc(train, 'voc')
    move(['0001'], 'a')
    move(['0002'], 'b')
    for folder, suffix in (('JPEGImages', '.png'), ('Annotations', '.xml')):
        os.rename(f'voc/{folder}/b/0002{suffix}', f'voc/{folder}/b/0001{suffix}')
    labels = read_labels('voc')
    boxes = {image['file_name']: [] for image in labels.coco['images']}
    names = {image['id']: image['file_name'] for image in labels.coco['images']}
    for thing in labels.coco['annotations']:
        boxes[names[thing['image_id']]].append(thing['bbox'])
    expected = boxes_of(truth)
    assert sorted(boxes['a/0001.png']) == sorted(list(box[1:]) for box in expected['0001.png'])
    assert sorted(boxes['b/0001.png']) == sorted(list(box[1:]) for box in expected['0002.png'])


def test_xml_files_in_sub_folders_of_images_that_are_in_none(train):
    truth = label_forms.write_voc(train, 'voc')
    move(['0001', '0002'], 'a', ['voc/Annotations'], ['.xml'])
    assert boxes_of(read_labels('voc').coco) == boxes_of(truth)


def test_sub_folders_that_are_called_like_parts_are_these_parts(train):
    label_forms.write_voc(train, 'voc')
    move(['0001'], 'valid')
    move(['0002'], 'test')
    move(['0003', '0004'], 'more')
    assert set(parts_of('voc')) == {'train', 'val', 'test'}
    assert names_of(read_labels('voc')) == ['0000.png', '0005.png', 'more/0003.png', 'more/0004.png']
    assert names_of(own_validation('voc')) == ['valid/0001.png']


def test_a_loop_of_links_ends_and_what_may_not_be_read_is_told(train, monkeypatch):
    label_forms.write_voc(train, 'voc')
    os.symlink('..', 'voc/Annotations/loop')
    os.symlink(train.img_dir, 'voc/Annotations/.hidden')
    assert len(read_labels('voc').coco['images']) == 6
    Path('voc/Annotations/closed').mkdir()
    scan = os.scandir

    def refuse(path):
        if str(path).endswith('closed'):
            raise PermissionError(13, 'Permission denied', str(path))
        return scan(path)

    monkeypatch.setattr(os, 'scandir', refuse)
    with pytest.raises(UserError, match='voc/Annotations/closed cannot be read .*: check its permissions'):
        read_labels('voc')


def test_what_is_written_as_voc_with_sub_folders_is_read_again(train):
    coco = read_labels(train.ann_file, str(train.img_dir)).coco
    (train.img_dir / 'deep').mkdir()
    for image in coco['images'][:3]:
        shutil.move(train.img_dir / image['file_name'], train.img_dir / 'deep')
        image['file_name'] = f'deep/{image["file_name"]}'
    write_labels('voc', coco, str(train.img_dir), 'out')
    assert set(names_of(read_labels('out'))) == {image['file_name'] for image in coco['images']}
    shutil.rmtree('out/ImageSets')
    assert set(names_of(read_labels('out'))) == {image['file_name'] for image in coco['images']}


def test_xml_files_in_capitals_are_found_by_a_list_too(train):
    truth = label_forms.write_voc(train, 'voc', lists=dict(train=['0000', '0001']))
    os.rename('voc/Annotations/0000.xml', 'voc/Annotations/0000.XML')
    labels = read_labels('voc')
    assert names_of(labels) == ['0000.png', '0001.png']
    assert boxes_of(labels.coco)['0000.png'] == boxes_of(truth)['0000.png']


@pytest.mark.parametrize('name', [' begins', 'ends ', 'two\u2028lines', 'flag 1'])
def test_lists_name_files_as_they_are_called(train, yolo, name):
    label_forms.write_voc(train, 'voc', lists=dict(train=[name, '0001']))
    for folder, suffix in (('voc/JPEGImages', '.png'), ('voc/Annotations', '.xml')):
        os.rename(f'{folder}/0000{suffix}', f'{folder}/{name}{suffix}')
    assert names_of(read_labels('voc')) == [f'{name}.png', '0001.png']
    for folder, suffix in (('yolo/images/train', '.png'), ('yolo/labels/train', '.txt')):
        os.rename(f'{folder}/0000{suffix}', f'{folder}/{name}{suffix}')
    Path('yolo/data.yaml').write_text('train: list.txt\nnames: [disc, bar]\n')
    Path('yolo/list.txt').write_text(f'images/train/{name}.png\r\n images/train/0001.png \n\n')
    labels = read_labels('yolo')
    assert names_of(labels) == [f'{name}.png', '0001.png'] and labels.notes == ()


@pytest.mark.parametrize('suffix', ['.TXT', '.Txt'])
@pytest.mark.parametrize('beside', [False, True])
def test_label_files_of_yolo_in_capitals(train, yolo, suffix, beside):
    os.rename('yolo/labels/train/0000.txt', f'yolo/{"images" if beside else "labels"}/train/0000{suffix}')
    labels = read_labels('yolo')
    found, expected = boxes_of(labels.coco)['0000.png'], boxes_of(yolo)['0000.png']
    assert [box[0] for box in found] == [box[0] for box in expected] and labels.notes == ()
    Path(f'yolo/labels/train/more{suffix}').write_text('')
    assert (
        f'1 label file of no image, such as {Path("yolo/labels/train").absolute()}/more{suffix}'
        in (read_labels('yolo').notes[0])
    )


@pytest.mark.parametrize('path', ['yolo/labels/train/0000.txt', 'voc/Annotations/0000.xml'])
def test_two_label_files_of_one_image_are_refused(train, yolo, path):
    label_forms.write_voc(train, 'voc')
    other = Path(path).with_suffix(Path(path).suffix.upper())
    shutil.copy(path, other)
    with pytest.raises(UserError, match='would be labels of the same image: take one of them out') as told:
        read_labels(path.split('/')[0])
    assert path in str(told.value) and str(other) in str(told.value)


def test_a_label_file_that_is_a_link_to_nowhere_is_told(train, yolo):
    path = Path('yolo/labels/train/0000.txt')
    path.unlink()
    path.symlink_to('nowhere.txt')
    with pytest.raises(UserError, match=r'labels/train/0000\.txt does not exist, or is no file'):
        read_labels('yolo')


def test_folders_in_capitals_are_found(train, yolo, val):
    """As Windows writes them, where case makes no difference."""
    os.rename('yolo/images', 'yolo/Images')
    os.rename('yolo/labels', 'yolo/LABELS')
    Path('yolo/data.yaml').write_text('train: Images/train\nnames: [disc, bar]\n')
    assert len(read_labels('yolo').coco['annotations']) == len(yolo['annotations'])
    os.remove('yolo/data.yaml')
    Path('yolo/classes.txt').write_text('disc\nbar\n')
    assert len(read_labels('yolo').coco['annotations']) == len(yolo['annotations'])
    truth = label_forms.write_voc(train, 'voc')
    os.rename('voc/JPEGImages', 'voc/JPEGIMAGES')
    os.rename('voc/Annotations', 'voc/ANNOTATIONS')
    assert boxes_of(read_labels('voc').coco) == boxes_of(truth)
    for part, data in (('Train', train), ('Valid', val)):
        label_forms.write_voc(data, f'beside/{part}', flat=True)
        label_forms.write_roboflow_coco(data, Path('robo', part))
    for name in ('beside', 'robo'):
        assert [len(parts_of(name)[part]().coco['images']) for part in ('train', 'val')] == [6, 3]
    label_forms.write_cvat(train, Path('cvat'), 'default')
    os.rename('cvat/annotations', 'cvat/Annotations')
    os.rename('cvat/images', 'cvat/Images')
    assert read_labels('cvat').images.startswith('cvat/Images')


def test_label_studios_notes_are_no_labels(train, yolo):
    os.remove('yolo/data.yaml')
    Path('yolo/classes.txt').write_text('disc\nbar\n')
    Path('yolo/notes.json').write_text('{"categories": [{"id": 0, "name": "disc"}], "info": {"year": 2026}}')
    assert boxes_of(read_labels('yolo').coco).keys() == boxes_of(yolo).keys()


def test_a_yaml_file_and_a_list_of_windows(train, yolo):
    Path('yolo/data.yaml').write_text('train: .\\images\\train\nval: val.txt\nnames: [disc, bar]\n')
    Path('yolo/val.txt').write_bytes(b'.\\images\\train\\0000.png\r\nimages\\train\\0001.png\r\n')
    assert len(read_labels('yolo').coco['images']) == 6 and len(own_validation('yolo').coco['images']) == 2


def test_accents_of_names_may_be_written_in_both_ways(train, yolo):
    os.rename('yolo/images/train/0000.png', 'yolo/images/train/caf\u00e9.png')
    os.rename('yolo/labels/train/0000.txt', 'yolo/labels/train/cafe\u0301.txt')
    labels = read_labels('yolo')
    assert len(labels.coco['annotations']) == len(yolo['annotations']) and labels.notes == ()


def test_labels_of_photos_with_an_exif_turn_are_told(train, yolo):
    with Image.open('yolo/images/train/0000.png') as image:
        tags = image.getexif()
        tags[0x0112] = 6
        image.save('yolo/images/train/0000.png', exif=tags)
    (note,) = read_labels('yolo').notes
    assert note.startswith('1 labelled image with an EXIF tag to turn or mirror by, such as ') and '0000.png' in note


def test_parts_may_be_called_training_and_testing(train, val):
    Path('sets').mkdir()
    for name, data in (('training', train), ('testing', val)):
        shutil.copy(data.ann_file, f'sets/{name}.json')
        shutil.copytree(data.img_dir, f'sets/{name}')
    assert {name: len(read().coco['images']) for name, read in parts_of('sets').items()} == dict(train=6, test=3)
    assert own_validation('sets') is None


@pytest.mark.parametrize('suffix', ['.png', '.PNG', '.xml', '.jpg 1'])
def test_lists_of_voc_may_have_suffixes(train, suffix):
    label_forms.write_voc(train, 'voc', lists=dict(train=[f'0001{suffix}', f'0003{suffix}']))
    assert names_of(read_labels('voc')) == ['0001.png', '0003.png']
    Path('voc/ImageSets/Main/train.txt').write_text('0001.png\n0099.png\n')
    with pytest.raises(UserError, match=r'of which 1 have no XML file in .*such as 0099\.png'):
        read_labels('voc')


@pytest.mark.parametrize(
    'encoding, name',
    [
        ('GBK', '圆盘'),
        ('gb2312', '镕'),
        ('shift_jis', '円'),
        ('big5', '圓盤'),
        ('windows-1251', 'диск'),
        ('utf8', '圆'),
        ('UTF-16', '圆'),
    ],
)
def test_xml_files_in_other_encodings(train, encoding, name):
    label_forms.write_voc(train, 'voc')
    paths = list(Path('voc/Annotations').iterdir())
    for path in paths:
        text = f'<?xml version="1.0" encoding="{encoding}"?>\n{path.read_text().replace("disc", name)}'
        path.write_bytes(text.encode('gbk' if encoding == 'gb2312' else encoding))  # as Windows takes it
    assert name in [each['name'] for each in read_labels('voc').coco['categories']]
    paths[0].write_bytes(f'<?xml version="1.0" encoding="{encoding}"?>\n<annotation>\n'.encode('ascii') + b'\xff\xff')
    with pytest.raises(UserError, match='0[0-9]*.xml.*(is no XML|is in .*, but is not)'):
        read_labels('voc')


@pytest.mark.parametrize('encoding', ['punycode', 'undefined', 'unicode_escape'])
def test_encodings_of_no_text_are_refused(train, encoding):
    label_forms.write_voc(train, 'voc')
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n<annotation>\\ud800</annotation>'
    Path('voc/Annotations/0000.xml').write_text(text)
    with pytest.raises(UserError, match=r'0000\.xml.*(save it as UTF-8|is no XML)'):
        read_labels('voc')


@pytest.mark.parametrize('images', [None, 'photos'])
def test_cvats_ultralytics_yolo_with_its_images_and_without(train, yolo, images):
    """Its lists begin with a folder that is not in the export."""
    Path('yolo/data.yaml').write_text('path: .\ntrain: train.txt\nnames:\n  0: disc\n  1: bar\n')
    Path('yolo/train.txt').write_text(''.join(f'data/images/train/{image["file_name"]}\n' for image in yolo['images']))
    if images:
        shutil.move('yolo/images/train', images)
        with pytest.raises(
            UserError, match='train.txt, line 1: the image data/images/train/0000.png is not there: name'
        ):
            read_labels('yolo')
    check(read_labels('yolo', images), yolo, 'YOLO')
