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


def test_what_lacks_a_part_is_told(train):
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


def test_a_list_of_classes_beside_other_labels_changes_nothing(train):
    truth = label_forms.write_voc(train, 'voc', flat=True)
    Path('voc/classes.txt').write_text('disc\nbar\n')
    Path('voc/readme.txt').write_text('a text')
    check(read_labels('voc'), truth, 'VOC')
    shutil.copy('voc/classes.txt', 'voc/0000.txt')
    with pytest.raises(UserError, match='voc holds labels in the forms VOC and YOLO'):
        read_labels('voc')
