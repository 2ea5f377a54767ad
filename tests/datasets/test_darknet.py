"""CVAT's export "YOLO 1.1", which is Darknet's form: ``obj.data``, ``obj.names``, lists of images with ``data/``."""

import os
import shutil
from pathlib import Path

import label_forms
import pytest
from label_forms import boxes_of

from sssd.datasets.labels import own_validation, parts_of, read_labels
from sssd.errors import UserError

NAMES = ['disc', 'bar']


@pytest.fixture
def export(train):
    """One part, as CVAT has it."""
    return label_forms.write_cvat_yolo(train, Path('export'), NAMES)


def check(labels, truth, folder):
    assert labels.form == 'YOLO' and labels.images == folder and labels.file is None
    found, expected = boxes_of(labels.coco), boxes_of(truth)
    assert found.keys() == expected.keys()
    for name, boxes in expected.items():
        assert [box[0] for box in found[name]] == [box[0] for box in boxes]
        assert [box[1:] for box in found[name]] == [pytest.approx(box[1:], abs=1e-3) for box in boxes]
    assert [each['name'] for each in labels.coco['categories']] == NAMES


@pytest.mark.parametrize('above', ['data/', '', './'])
@pytest.mark.parametrize('path', ['export', 'export/obj.data'])
def test_the_export(train, above, path):
    truth = label_forms.write_cvat_yolo(train, Path('export'), NAMES, above=above)
    labels = read_labels(path)
    check(labels, truth, 'export/obj_train_data')
    assert labels.notes == () and labels.source == f'export/{"obj.data"} (train)' and own_validation(path) is None


def test_its_parts(train, val):
    truths = [label_forms.write_cvat_yolo(train, Path('export'), NAMES)]
    truths += [label_forms.write_cvat_yolo(val, Path('export'), NAMES, part) for part in ('valid', 'test')]
    assert set(parts_of('export')) == {'train', 'val', 'test'}
    check(read_labels('export'), truths[0], 'export/obj_train_data')
    check(own_validation('export'), truths[1], 'export/obj_valid_data')
    check(parts_of('export')['test'](), truths[2], 'export/obj_test_data')


def test_a_list_beside_the_file_that_does_not_name_it(train, val):
    label_forms.write_cvat_yolo(train, Path('export'), NAMES)
    text = Path('export/obj.data').read_text()
    label_forms.write_cvat_yolo(val, Path('export'), NAMES, 'valid')
    Path('export/obj.data').write_text(text)
    assert len(own_validation('export').coco['images']) == 3


def test_a_folder_data_of_the_present_folder_is_another_one(train, val, export):
    """``data/`` stands for the export's own folder, even where a folder of that name has an export."""
    label_forms.write_cvat_yolo(val, Path('data'), ['x', 'y', 'z', *NAMES])
    check(read_labels('export'), export, 'export/obj_train_data')


def test_windows_capitals_comments_and_blank_lines(export):
    os.rename('export/obj.data', 'export/OBJ.DATA')
    os.rename('export/obj_train_data/0001.txt', 'export/obj_train_data/0001.TXT')
    text = Path('export/OBJ.DATA').read_text().replace('data/', 'data\\').replace('\n', '\r\n').replace(' = ', '=')
    Path('export/OBJ.DATA').write_text('\ufeff# by hand\r\n\r\n; too\r\n' + text, newline='')
    lines = Path('export/train.txt').read_text().replace('/', '\\').replace('\n', '\r\n')
    Path('export/train.txt').write_text(lines, newline='')
    Path('export/obj.names').write_text('disc\r\nbar\r\n\r\n', newline='')
    check(read_labels('export'), export, 'export/obj_train_data')


def test_another_name_of_the_data_file(export):
    os.rename('export/obj.data', 'export/cells.data')
    check(read_labels('export'), export, 'export/obj_train_data')
    Path('export/numbers.data').write_bytes(b'\xff\xfe\x00\x01 5.1,3.5,1.4')
    check(read_labels('export'), export, 'export/obj_train_data')
    shutil.copy('export/cells.data', 'export/more.data')
    with pytest.raises(UserError, match=r'export has several \.data files \(cells\.data, more\.data\): name the one'):
        read_labels('export')
    os.rename('export/more.data', 'export/obj.data')
    check(read_labels('export'), export, 'export/obj_train_data')


def test_other_data_files_are_no_labels(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('flowers').mkdir()
    Path('flowers/iris.data').write_text('5.1,3.5,1.4,0.2,setosa\n')
    with pytest.raises(UserError, match=r'^flowers holds no labels of a form .* an obj\.data of CVAT'):
        read_labels('flowers')


def test_a_yaml_file_comes_first(export):
    Path('export/data.yaml').write_text('train: obj_train_data\nnames: [a, b]\n')
    assert [each['name'] for each in read_labels('export').coco['categories']] == ['a', 'b']


def test_an_image_without_a_label_file_and_one_in_a_sub_folder(export):
    os.remove('export/obj_train_data/0005.txt')
    Path('export/obj_train_data/deep').mkdir()
    for suffix in ('.png', '.txt'):
        shutil.move(f'export/obj_train_data/0002{suffix}', 'export/obj_train_data/deep')
    lines = Path('export/train.txt').read_text().replace('0002.png', 'deep/0002.png')
    Path('export/train.txt').write_text(lines)
    labels = read_labels('export')
    check(labels, export, 'export/obj_train_data')
    assert labels.notes == ('1 image without a label file: taken for images without objects',)


def test_an_export_without_its_images(export):
    """As CVAT makes it unless it is told to save them."""
    for path in Path('export/obj_train_data').glob('*.png'):
        path.unlink()
    with pytest.raises(UserError) as told:
        read_labels('export')
    assert str(told.value) == (
        'export/train.txt, line 1: the image data/obj_train_data/0000.png is not there: name the folder of the images, '
        'put them beside their labels (CVAT: Save images), or correct the list.'
    )


@pytest.mark.parametrize(
    'file, text, words',
    [
        ('obj.data', 'names = data/obj.names\ntrain\n', "obj.data, line 2: 'train' is no key = value: correct it"),
        ('obj.data', 'train = data/train.txt\n', r'obj.data names no list of classes: give it names = and their file'),
        (
            'obj.data',
            'names = data/my.names\ntrain = data/train.txt\n',
            'obj.data: names = data/my.names, but there is no export/data/my.names and no export/my.names: correct',
        ),
        ('obj.data', 'names = obj.names\ntrain = data/no.txt\n', r'train: names data/no\.txt, but there is no export/'),
        ('obj.data', 'names = obj.names\nclasses = 3\n', 'obj.data says classes = 3, but export/obj.names has 2'),
        ('obj.names', '', 'obj.names has no names of classes: write one a line'),
        ('obj.names', 'disc\n\nbar\n', 'obj.names, line 2: it is empty, but .*: give it the name'),
        ('obj.names', 'disc\ndisc\n', "obj.names has several classes called 'disc': give each a name of its own"),
        ('train.txt', '', 'there is no image in export/train.txt'),
        ('obj_train_data/0001.txt', '2 0.5 0.5 0.1 0.1\n', r'0001.txt, line 1: the class is 2, but the data set has 0'),
        ('obj_train_data/0001.txt', '0 0.5 0.5 0.1\n', r'0001.txt, line 1: it has 4 numbers'),
    ],
)
def test_mistakes(export, file, text, words):
    Path('export', file).write_text(text)
    with pytest.raises(UserError, match=words) as caught:
        read_labels('export')
    assert 'export' in str(caught.value) and '\n' not in str(caught.value)


def test_no_list_of_images_at_all(export):
    Path('export/obj.data').write_text('names = obj.names\n')
    os.remove('export/train.txt')
    with pytest.raises(UserError, match=r'obj\.data names no images: give it a train = and a valid = with their lists'):
        read_labels('export')


@pytest.mark.parametrize('above', ['data/', '', './'])
@pytest.mark.parametrize('place', ['', 'obj_train_data'])
def test_images_of_an_export_without_them_are_taken_from_another_folder(train, above, place):
    truth = label_forms.write_cvat_yolo(train, Path('export'), NAMES, above=above)
    Path('photos', place).mkdir(parents=True)
    for path in Path('export/obj_train_data').glob('*.png'):
        path.rename(Path('photos', place, path.name))
    labels = read_labels('export', 'photos')
    check(labels, truth, str(Path('photos', place)))
    assert labels.notes == ()
    Path('photos', place, '0003.png').unlink()
    with pytest.raises(UserError, match=r'train\.txt, line 4: the image .*0003\.png is not in photos: name the folder'):
        read_labels('export', 'photos')


def test_sub_folders_of_an_export_without_images(train):
    label_forms.write_cvat_yolo(train, Path('export'), NAMES)
    names = ['a/0000.png', 'b/0000.png']
    Path('export/train.txt').write_text(''.join(f'data/obj_train_data/{name}\n' for name in names))
    for number, name in enumerate(names):
        text = Path('export/obj_train_data', name).with_suffix('.txt')
        text.parent.mkdir()
        text.write_text(f'{number} 0.5 0.5 0.5 0.5\n')
        Path('photos', name).parent.mkdir(parents=True)
        shutil.copy('export/obj_train_data/0000.png', Path('photos', name))
    coco = read_labels('export', 'photos').coco
    assert [(image['file_name'], image['id']) for image in coco['images']] == [('a/0000.png', 1), ('b/0000.png', 2)]
    assert [(thing['image_id'], thing['category_id']) for thing in coco['annotations']] == [(1, 1), (2, 2)]
    for name in names:
        os.remove(f'photos/{name}')
    shutil.copy('export/obj_train_data/0000.png', 'photos')
    with pytest.raises(UserError, match=r'line 1: the image data/obj_train_data/a/0000\.png is not in photos'):
        read_labels('export', 'photos')  # it may be that of a or of b


def test_a_folder_data_that_is_in_the_export_counts(train):
    label_forms.write_cvat_yolo(train, Path('export'), NAMES)
    Path('export/train.txt').write_text('data/0000.png\nimgs/0001.png\n')
    for name in ('data/0000', 'imgs/0001'):
        for root, suffix in (('export', '.txt'), ('photos', '.png')):
            Path(root, name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(f'export/obj_train_data/{name[-4:]}{suffix}', Path(root, f'{name}{suffix}'))
    labels = read_labels('export', 'photos')
    assert labels.notes == () and all(boxes_of(labels.coco).values())


@pytest.mark.parametrize('line', ['.', './', '..'])
def test_a_line_that_is_no_name(export, line):
    Path('export/train.txt').write_text(f'{line}\n')
    with pytest.raises(UserError, match=r'train\.txt, line 1: the image .* is not in truth'):
        read_labels('export', 'truth')
