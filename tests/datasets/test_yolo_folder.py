"""Label files of YOLO and a list of classes, without a file that says where the images are."""

import os
import shutil
from pathlib import Path

import label_forms
import pytest
from label_forms import boxes_of, check

from sssd.datasets.labels import own_validation, parts_of, read_labels
from sssd.errors import UserError

NAMES = ['disc', 'bar']


def write(data, images, labels, classes, names='disc\nbar\n'):
    """The images, their label files (an empty one where there is no object), and the list of classes."""
    truth = label_forms.write_yolo_part(data, Path(images), Path(labels), NAMES, 'written')
    Path(classes).write_text(names)
    return truth


@pytest.mark.parametrize(
    'images, labels, classes, path, named',
    [
        ('flat', 'flat', 'flat/classes.txt', 'flat', None),
        ('flat', 'flat', 'flat/_darknet.labels', 'flat', None),
        ('flat', 'flat', 'flat/obj.names', 'flat', 'flat'),
        ('photos', 'texts', 'texts/classes.txt', 'texts', 'photos'),
        ('photos/batch', 'texts/batch', 'texts/classes.txt', 'texts', 'photos'),
        ('set/images', 'set/labels', 'set/labels/classes.txt', 'set', None),
        ('set/images', 'set/labels', 'set/labels/classes.txt', 'set/labels', None),
        ('set/images', 'set/images', 'set/classes.txt', 'set', None),
        ('photos', 'set/labels', 'set/classes.txt', 'set', 'photos'),
    ],
)
def test_where_the_files_lie(train, images, labels, classes, path, named):
    truth = write(train, images, labels, classes)
    found = read_labels(path, named)
    check(found, truth, 'YOLO')
    assert [each['name'] for each in found.coco['categories']] == NAMES
    assert found.images == images and found.notes == () and own_validation(path, named) is None


def test_an_image_without_a_label_file_is_not_labelled(train):
    write(train, 'flat', 'flat', 'flat/classes.txt')
    for number in (1, 4):
        os.remove(f'flat/000{number}.txt')
    found = read_labels('flat')
    assert sorted(boxes_of(found.coco)) == ['0000.png', '0002.png', '0003.png', '0005.png']
    assert found.notes == ('2 images without a label file: left out',)


def test_sub_folders_that_are_called_like_parts_are_these_parts(train, val):
    for root, classes in (('darknet/{}', 'darknet/{}/_darknet.labels'), ('one/{}', 'one/classes.txt')):
        truths = [
            write(data, root.format(part), root.format(part), classes.format(part))
            for part, data in (('train', train), ('valid', val))
        ]
        top = root.split('/')[0]
        assert set(parts_of(top)) == {'train', 'val'}
        check(own_validation(top), truths[1], 'YOLO')
        check(read_labels(top), truths[0], 'YOLO')
    for part, data in (('train', train), ('val', val)):
        write(data, f'apart/images/{part}', f'apart/labels/{part}', 'apart/classes.txt')
    assert {part: len(read().coco['images']) for part, read in parts_of('apart').items()} == dict(train=6, val=3)


@pytest.mark.parametrize('text, words', [('', 'has no names'), ('disc\n\nbar', 'line 2: it is empty'), ('a\na', "'a'")])
def test_mistakes_in_the_list_of_classes(train, text, words):
    write(train, 'flat', 'flat', 'flat/classes.txt', text)
    with pytest.raises(UserError, match=rf'flat/classes\.txt.*{words}'):
        read_labels('flat')


def test_what_lacks_something_is_told(train):
    write(train, 'flat', 'flat', 'flat/classes.txt')
    os.remove('flat/classes.txt')
    with pytest.raises(UserError, match='label files of YOLO with the names of their classes in a classes.txt'):
        read_labels('flat')
    write(train, 'photos', 'texts', 'texts/classes.txt')
    with pytest.raises(UserError, match=r'^texts holds no labels'):
        read_labels('texts')
    for path in Path('texts').iterdir():
        path.rename(path.with_name(path.name.replace('000', '100')))
    with pytest.raises(UserError, match=r'^texts holds no labels'):
        read_labels('texts', 'photos')


def test_labels_of_other_forms_come_first(train):
    """Texts of YOLO may have been made of them."""
    truth = label_forms.write_voc(train, 'voc', flat=True)
    write(train, 'made', 'made', 'made/classes.txt')
    for path in [*Path('made').glob('*.txt')]:
        shutil.copy(path, 'voc')
    check(read_labels('voc'), truth, 'VOC')
    for path in Path('voc').glob('*.xml'):
        path.unlink()
    check(read_labels('voc'), truth, 'YOLO')


def test_parts_have_lists_of_classes_of_their_own_or_of_another(train, val):
    for part, data in (('train', train), ('valid', val)):
        write(data, f'set/{part}/images', f'set/{part}/labels', f'set/{part}/classes.txt')
    os.remove('set/valid/classes.txt')
    assert {part: len(read().coco['images']) for part, read in parts_of('set').items()} == dict(train=6, val=3)
    write(val, 'set/val', 'set/val', 'set/val/classes.txt')
    with pytest.raises(UserError, match='set/val and set/valid are both the part val: take one out'):
        read_labels('set')


def test_a_part_that_nobody_labelled_is_none(train, val):
    write(train, 'set/images/train', 'set/labels/train', 'set/classes.txt')
    write(val, 'set/images/val', 'elsewhere', 'set/classes.txt')
    assert own_validation('set') is None and read_labels('set').notes == ('3 images without a label file: left out',)


def test_images_of_parts_in_a_folder_of_their_own(train, val):
    for part, data in (('train', train), ('valid', val)):
        write(data, f'photos/{part}', f'texts/{part}', f'texts/{part}/_darknet.labels')
    found = parts_of('texts', 'photos')
    assert {part: len(read().coco['images']) for part, read in found.items()} == dict(train=6, val=3)


def test_lists_of_classes_that_differ_are_refused(train):
    write(train, 'set/images', 'set/labels', 'set/classes.txt')
    shutil.copy('set/classes.txt', 'set/labels')
    assert len(read_labels('set').coco['images']) == 6
    Path('set/labels/classes.txt').write_text('bar\ndisc\n')
    with pytest.raises(UserError, match='labels/classes.txt and set/classes.txt differ in the names of classes'):
        read_labels('set')


@pytest.mark.parametrize('lists', [['train.txt', 'test.txt'], ['val.txt']])
def test_lists_of_images_that_nothing_explains_are_refused(train, lists):
    write(train, 'set/obj', 'set/obj', 'set/obj.names')
    for name in lists:
        Path('set', name).write_text('obj/0000.png\n')
    with pytest.raises(
        UserError, match=rf'a list of classes and of images \({", ".join(lists)}\), but nothing that says'
    ):
        read_labels('set')


@pytest.mark.parametrize('place', ['train2017', 'obj_valid_data', 'ds/val', 'train/test'])
def test_sub_folders_that_may_be_parts_or_not_are_refused(train, place):
    write(train, f'set/images/{place}', f'set/labels/{place}', 'set/classes.txt')
    with pytest.raises(
        UserError, match=f'set/images has images in {place}, which may be a part of the data set or not'
    ):
        read_labels('set')


def test_accents_may_be_written_in_both_ways(train):
    write(train, 'flat', 'flat', 'flat/classes.txt')
    os.rename('flat/0000.png', 'flat/caf\u00e9.png')
    os.rename('flat/0000.txt', 'flat/cafe\u0301.txt')
    assert len(read_labels('flat').coco['images']) == 6
