"""Labels in every form: the boxes of a COCO set, written in it by other code, come out; mistakes name file and line."""

import json
import os
import shutil
from pathlib import Path

import label_forms
import pytest
from label_forms import boxes_of, check

from sssd.datasets.labels import aligned, own_validation, parts_of, read_labels
from sssd.datasets.xml_safe import parse_xml
from sssd.errors import UserError

NAMES = ['disc', 'bar']


def write_voc_lists(train):
    return label_forms.write_voc(
        train, 'voc', lists=dict(train=['0000', '0001'], val=['0002'], trainval=['0000', '0002'])
    )


@pytest.mark.parametrize('first', [1, 0])
@pytest.mark.parametrize('flat', [False, True])
def test_voc(train, flat, first):
    truth = label_forms.write_voc(train, 'voc', flat, first)
    if not first:  # what tells such a tool apart
        path = next(Path('voc').rglob('0000.xml'))
        name, (_, y, w, h) = label_forms.things_of(truth, truth['images'][0])[0]
        truth['annotations'][0]['bbox'][0] = 0
        path.write_text(label_forms.xml_of(truth['images'][0], [(name, (0, y, w, h))], 0))
    labels = read_labels('voc')
    check(labels, truth, 'VOC')
    assert labels.file is None and [each['name'] for each in labels.coco['categories']] == sorted(NAMES)
    assert any('count from 0' in note for note in labels.notes) == (not first)
    if not flat:
        check(read_labels('voc/Annotations'), truth, 'VOC')
        check(read_labels('voc/Annotations', 'voc/JPEGImages'), truth, 'VOC')


def test_the_lists_of_voc_are_its_parts(train):
    write_voc_lists(train)
    names = {part: [image['file_name'] for image in read().coco['images']] for part, read in parts_of('voc').items()}
    assert names == dict(train=['0000.png', '0001.png'], val=['0002.png'])
    assert len(own_validation('voc').coco['images']) == 1
    listed = read_labels('voc/ImageSets/Main/trainval.txt')
    assert [image['file_name'] for image in listed.coco['images']] == ['0000.png', '0002.png']
    Path('voc/ImageSets/Main/disc_train.txt').write_text('0001  1\n0003 -1\n')
    assert len(read_labels('voc/ImageSets/Main/disc_train.txt').coco['images']) == 2
    Path('voc/ImageSets/Main/train.txt').write_text('0001\n0099\n')
    with pytest.raises(UserError, match='train.txt names 2 images, of which 1 have no XML file in .*such as 0099'):
        read_labels('voc')


def test_voc_objects_that_are_difficult_count_as_crowds_and_sizes_may_be_missing(train):
    truth = label_forms.write_voc(train, 'voc')
    image = truth['images'][1]
    path = Path('voc/Annotations/0001.xml')
    text = label_forms.xml_of(image, label_forms.things_of(truth, image), difficult=[1])
    path.write_text(text.replace('<width>72</width>', '<width>0</width>'))
    (Path('voc/JPEGImages') / 'more.jpg').write_bytes(b'')
    labels = read_labels('voc')
    check(labels, truth, 'VOC')
    assert [thing['iscrowd'] for thing in labels.coco['annotations']].count(1) == 1
    assert labels.notes == (
        '1 object marked as difficult: left out of training and of the evaluation',
        '1 XML file without a size: it was taken from the image',
        '1 image without an XML file: left out',
    )


def write_yolo(train, val, text, where=('images/{}', 'labels/{}'), empty='none'):
    truths = {}
    for part, data in (('train', train), ('val', val)):
        folder = 'valid' if part == 'val' and '{}' in where[0][:2] else part
        images, labels = (Path('yolo') / place.format(folder) for place in where)
        truths[part] = label_forms.write_yolo_part(data, images, labels, NAMES, empty)
    Path('yolo/data.yaml').write_text(text)
    return truths


ULTRALYTICS = 'path: yolo\ntrain: images/train  # relative\nval: images/val\ntest:\nnames:\n  0: disc\n  1: bar\n'
ROBOFLOW = (
    "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 2\nnames: ['disc', 'bar']\n\n"
    'roboflow:\n  workspace: us\n  project: things\n  version: 1\n  license: CC BY 4.0\n'
)


@pytest.mark.parametrize('path', ['yolo', 'yolo/data.yaml'])
@pytest.mark.parametrize(
    'text, where, empty',
    [
        (ULTRALYTICS, ('images/{}', 'labels/{}'), 'none'),
        (ULTRALYTICS.replace('yolo', '/content/datasets/things'), ('images/{}', 'labels/{}'), 'none'),
        (ULTRALYTICS.replace('path: yolo\n', ''), ('images/{}', 'labels/{}'), 'file'),
        (ULTRALYTICS.replace('images/train', '[images/train]'), ('images/{}', 'labels/{}'), 'none'),
        (ROBOFLOW, ('{}/images', '{}/labels'), 'file'),
        ('train: train\nval: valid\nnames: [disc, bar]\n', ('{}', '{}'), 'none'),
    ],
    ids=['ultralytics', 'path of another machine', 'no path', 'a list', 'roboflow', 'beside'],
)
def test_yolo(train, val, text, where, empty, path):
    truth = write_yolo(train, val, text, where, empty)
    labels = read_labels(path)
    check(labels, truth['train'], 'YOLO')
    check(own_validation(path), truth['val'], 'YOLO')
    check(read_labels(path, part='val'), truth['val'], 'YOLO')
    assert [each['name'] for each in labels.coco['categories']] == NAMES and labels.file is None
    missing = '1 image without a label file: taken for images without objects'
    assert labels.notes == ((missing,) if empty == 'none' else ())


def test_yolo_by_a_list_of_files(train, val):
    truth = write_yolo(train, val, ULTRALYTICS.replace('images/train', 'train.txt'))
    names = sorted(os.listdir('yolo/images/train'))
    Path('yolo/train.txt').write_text(''.join(f'./images/train/{name}\n' for name in names))
    check(read_labels('yolo'), truth['train'], 'YOLO')
    Path('yolo/train.txt').write_text('./images/train/0000.png\n./images/train/nothing.png\n')
    with pytest.raises(UserError, match=r'train\.txt, line 2: the image \./images/train/nothing\.png is not there'):
        read_labels('yolo')


@pytest.mark.parametrize('before', ['/home/somebody/sets/yolo/images/train/', 'D:\\sets\\yolo\\images\\train\\'])
@pytest.mark.parametrize('folder', ['yolo', 'yolo/lists'])
def test_a_list_with_absolute_paths_of_another_machine(train, val, before, folder):
    truth = write_yolo(train, val, ULTRALYTICS.replace('images/train', f'{folder}/train.txt'.removeprefix('yolo/')))
    Path(folder).mkdir(exist_ok=True)
    names = sorted(os.listdir('yolo/images/train'))
    Path(folder, 'train.txt').write_text(''.join(f'{before}{name}\n' for name in names))
    check(read_labels('yolo'), truth['train'], 'YOLO')
    Path(folder, 'train.txt').write_text(f'{before}nothing.png\n')
    with pytest.raises(UserError, match=r'train\.txt, line 1: the image .*nothing\.png is not there'):
        read_labels('yolo')


def test_a_list_with_absolute_paths_and_images_elsewhere(train, val):
    truth = write_yolo(train, val, ULTRALYTICS.replace('images/train', 'train.txt'))
    names = sorted(os.listdir('yolo/images/train'))
    Path('yolo/train.txt').write_text(''.join(f'/home/somebody/yolo/images/train/{name}\n' for name in names))
    os.rename('yolo/images/train', 'photos')
    check(read_labels('yolo', images='photos'), truth['train'], 'YOLO')


def test_a_name_that_is_spelt_otherwise_is_told(train, val):
    write_yolo(train, val, ULTRALYTICS.replace('images/train', 'train.txt'))
    Path('yolo/train.txt').write_text('images/train/0000.PNG\n')
    with pytest.raises(UserError, match=r'the image images/train/0000\.PNG is not there, but 0000\.png is: name'):
        read_labels('yolo')


def test_two_absolute_paths_of_one_image_are_refused(train, val):
    write_yolo(train, val, ULTRALYTICS.replace('images/train', 'train.txt'))
    Path('yolo/train.txt').write_text('/sets/a/images/train/0000.png\n/sets/b/images/train/0000.png\n')
    with pytest.raises(UserError, match='names /sets/a/.* and /sets/b/.*, but both would be .*: bring the folders'):
        read_labels('yolo')
    Path('yolo/train.txt').write_text('/sets/a/images/train/0000.png\n' * 2)
    assert len(read_labels('yolo').coco['images']) == 1


def test_yolo_of_several_folders_and_without_a_yaml_file(train, val):
    write_yolo(train, val, ULTRALYTICS.replace('images/train', '[images/train, images/val]'))
    assert len(read_labels('yolo').coco['images']) == 9
    truth = label_forms.write_yolo_part(train, Path('studio/images'), Path('studio/labels'), NAMES, 'written')
    Path('studio/classes.txt').write_text('disc\nbar\n')
    check(read_labels('studio'), truth, 'YOLO')


def test_outlines_keypoints_and_lines_written_twice(train, val):
    write_yolo(train, val, ULTRALYTICS)
    label = Path('yolo/labels/train/0000.txt')
    label.write_text('1 0.25 0.5 0.5 0.25 0.75 0.75\n0 0.5 0.5 0.5 0.5\n0 0.5 0.5 0.5 0.5\n\n')
    labels = read_labels('yolo')
    assert boxes_of(labels.coco)['0000.png'] == [('bar', 24, 18, 48, 36), ('disc', 24, 18, 48, 36)]
    assert labels.notes[1:] == ('1 box written twice: taken once', '1 outline taken by the boxes around them')
    Path('yolo/data.yaml').write_text(ULTRALYTICS + 'kpt_shape: [1, 3]\n')
    for path in Path('yolo/labels/train').glob('*.txt'):
        path.write_text('0 0.5 0.5 0.5 0.5 0.1 0.1 2\n')
    assert boxes_of(read_labels('yolo').coco)['0000.png'] == [('disc', 24, 18, 48, 36)]


def test_roboflows_coco(train, val):
    truth = label_forms.write_roboflow_coco(train, Path('export/train'))
    truth_val = label_forms.write_roboflow_coco(val, Path('export/valid'))
    for path in ('export', 'export/train', 'export/train/_annotations.coco.json'):
        labels = read_labels(path)
        check(labels, truth, 'COCO')
        assert labels.images == 'export/train' and [each['name'] for each in labels.coco['categories']] == NAMES
        assert "lists 'animals' as a category, which only groups others and has no box" in labels.notes[0]
    check(own_validation('export'), truth_val, 'COCO')
    assert own_validation('export/train') is None


def test_a_group_of_roboflows_may_be_called_like_its_class(train):
    coco = label_forms.write_roboflow_coco(train, Path('export/train'), name='disc')
    assert [each['name'] for each in coco['categories']] == ['disc', 'disc', 'bar']
    check(read_labels('export'), coco, 'COCO')


@pytest.mark.parametrize('subset', ['default', 'train'])
def test_cvats_coco(train, subset):
    truth = label_forms.write_cvat(train, Path('cvat'), subset)
    labels = read_labels('cvat')
    check(labels, truth, 'COCO')
    assert labels.file == f'cvat/annotations/instances_{subset}.json' and labels.images == 'cvat/images'
    assert labels.notes == ()
    check(read_labels(labels.file), truth, 'COCO')


def test_a_coco_file_finds_its_images(train):
    truth = json.loads(train.ann_file.read_text())
    layouts = {
        'a/train.json': 'a/train',
        'b/annotations/instances_train2017.json': 'b/train2017',
        'c/x.json': 'c/images',
    }
    for file, folder in layouts.items():
        Path(file).parent.mkdir(parents=True)
        shutil.copy(train.ann_file, file)
        shutil.copytree(train.img_dir, folder)
        labels = read_labels(file)
        check(labels, truth, 'COCO')
        assert (labels.images, labels.file) == (folder, file)
        check(read_labels(file.split('/')[0]), truth, 'COCO')
    for image in truth['images']:
        image['file_name'] = f'images\\{image["file_name"]}'
    Path('c/x.json').write_text(json.dumps(truth))
    turned = read_labels('c')
    assert turned.file is None and turned.coco['images'][0]['file_name'] == 'images/0000.png'
    assert 'in the way of Windows' in turned.notes[0]


@pytest.mark.parametrize(
    'entries, key, value, what',
    [
        ('images', 'file_name', None, 'the name of a file'),
        ('images', 'id', [], 'a whole number'),
        ('annotations', 'category_id', {}, 'a whole number'),
        ('categories', 'name', None, 'a text'),
    ],
)
def test_ids_and_names_of_no_use_are_told(train, entries, key, value, what):
    coco = json.loads(train.ann_file.read_text())
    coco[entries][1][key] = value
    train.ann_file.write_text(json.dumps(coco))
    with pytest.raises(UserError, match=f'{key!r} of entry 1 of {entries!r} is .* but has to be {what}'):
        read_labels(train.ann_file)


def test_forms_that_cannot_be_told(train, val):
    Path('empty').mkdir()
    with pytest.raises(UserError, match=r'^empty holds no labels of .*COCO file .*data\.yaml of YOLO .*XML files'):
        read_labels('empty')
    with pytest.raises(UserError, match='^nowhere is no file and no folder'):
        read_labels('nowhere')
    os.mkfifo('empty/fifo.json')
    with pytest.raises(UserError, match='is no file and no folder'):
        read_labels('empty/fifo.json')
    write_yolo(train, val, ULTRALYTICS)
    shutil.copy(train.ann_file, 'yolo/train.json')
    with pytest.raises(UserError, match='yolo holds labels in the forms COCO and YOLO: name the file'):
        read_labels('yolo')
    read_labels('yolo/data.yaml')
    for name in ('train.1@5.json', 'train.2@5.json'):
        shutil.copy(train.ann_file, f'empty/{name}')
    with pytest.raises(UserError, match=r"empty has 'train\.1@5\.json', 'train\.2@5\.json': name the one"):
        read_labels('empty')
    with pytest.raises(
        UserError, match='says itself where its images are, yolo/images/train: leave out the folder empty'
    ):
        read_labels('yolo/data.yaml', 'empty')


def test_classes_in_one_order_for_two_sets(train):
    labels = read_labels(train.ann_file)
    coco = aligned(labels, ['bar', 'other'])
    assert [each['name'] for each in coco['categories']] == ['bar', 'other', 'disc']
    assert boxes_of(coco) == boxes_of(labels.coco)


@pytest.mark.parametrize(
    'text, words',
    [
        ('<annotation>\n<object>', r'0001\.xml, line 2: it is no XML \(no element found'),
        ('', r'0001\.xml, line 1: it is no XML'),
        ('{HEAD}<object>\n<name>a</name></object></annotation>', 'line 2: an <object> has no <bndbox>'),
        ('{HEAD}<object><bndbox></bndbox></object></annotation>', 'line 2: an <object> has no <name>'),
        ('{HEAD}{BOX:nan}</annotation>', "line 2: <xmin> is 'nan', but has to be a number"),
        ('{HEAD}{BOX:inf}</annotation>', "line 2: <xmin> is 'inf'"),
        ('{HEAD}{BOX:ten}</annotation>', "line 2: <xmin> is 'ten'"),
        ('{HEAD}{BOX:50}</annotation>', r'line 2: the box \(50, 1, 9, 9\) ends before it begins'),
        ('<annotations></annotations>', 'line 1: <annotations> is not the <annotation> of VOC'),
        ('<!DOCTYPE a [\n<!ENTITY b "c">]><annotation>&b;</annotation>', 'line 2: it declares entities'),
        ('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><annotation>&b;</annotation>', 'declares entities'),
        ('<annotation>' + '<a>' * 100000, 'line 1: elements are nested too deep'),
        ('<?xml version="1.0" encoding="klingon"?><annotation/>', 'line 1: it is no XML'),
    ],
)
def test_mistakes_in_xml_files(train, text, words):
    label_forms.write_voc(train, 'voc')
    text = text.replace('{HEAD}', '<annotation><size><width>9</width><height>9</height></size>\n')
    before, _, rest = text.partition('{BOX:')
    if rest:
        number, _, after = rest.partition('}')
        corners = f'<xmin>{number}</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax>'
        text = f'{before}<object><name>a</name><bndbox>{corners}</bndbox></object>{after}'
    Path('voc/Annotations/0001.xml').write_text(text)
    with pytest.raises(UserError, match=words) as caught:
        read_labels('voc')
    assert '0001.xml' in str(caught.value) and '\n' not in str(caught.value)


def test_an_xml_file_without_its_image(train):
    label_forms.write_voc(train, 'voc')
    Path('voc/JPEGImages/0003.png').unlink()
    with pytest.raises(UserError, match=r"0003\.xml: its image is not in voc/JPEGImages, .*'0003\.png' of its"):
        read_labels('voc')


def test_entities_are_not_expanded_and_outer_files_not_read(tmp_path):
    path = tmp_path / 'a.xml'
    path.write_text('<!DOCTYPE a SYSTEM "file:///dev/zero">\n<a>x &amp; y</a>')
    assert parse_xml(path).text == 'x & y'
    os.mkfifo(tmp_path / 'b.xml')
    with pytest.raises(UserError, match='is no file'):
        parse_xml(tmp_path / 'b.xml')


@pytest.mark.parametrize(
    'line, words',
    [
        ('0 0.5 0.5 0.5', 'it has 4 numbers'),
        ('0 0.5 0.5 0.5 0.5 0.9', 'it has 6 numbers, .* a sixth may be the score'),
        ('0 0.1 0.1 0.2 0.2 0.3 0.3 0.4', 'it has 8 numbers'),
        ('2 0.5 0.5 0.5 0.5', 'the class is 2, but the data set has 0 to 1'),
        ('-1 0.5 0.5 0.5 0.5', 'the class is -1'),
        ('0.5 0.5 0.5 0.5 0.5', 'the class is 0.5'),
        ('0 nan 0.5 0.5 0.5', "a value is 'nan', but has to be a number"),
        ('disc 0.5 0.5 0.5 0.5', "a value is 'disc'"),
        ('0 48 36 20 20', '48 is not from 0 to 1'),
        ('0 0.5 0.5 -0.5 0.5', '-0.5 is not from 0 to 1'),
    ],
)
def test_mistakes_in_label_files(train, val, line, words):
    write_yolo(train, val, ULTRALYTICS)
    Path('yolo/labels/train/0001.txt').write_text(f'0 0.5 0.5 0.5 0.5\n{line}\n')
    with pytest.raises(UserError, match=rf'yolo/labels/train/0001\.txt, line 2: {words}'):
        read_labels('yolo')


BOMB = 'a: &a [x, x]\n' + ''.join(f'{new}: &{new} [*{old}, *{old}]\n' for old, new in zip('abcdefgh', 'bcdefghi'))


@pytest.mark.parametrize(
    'text, words',
    [
        ('', 'is empty: give it train:, val: and names:'),
        ('just words', 'has no keys'),
        ('train: images/train\nnames:\n\t- disc\n', r', line 3: it is no YAML \(found character'),
        ('train: [images/train\n', ', line 2: it is no YAML'),
        ('train: images/train\nval: images/val\n', 'has no names: of the classes'),
        ('train: images/train\nnames: 2\n', 'has no names:'),
        ('train: images/train\nnames: [disc, disc]\n', "several classes called 'disc'"),
        (
            'train: images/train\nnames: {0: disc, 2: bar}\n',
            r'names: has the numbers \[0, 2\]\.\.\., but must have 0, 1',
        ),
        ('train: images/train\nnames: {disc: 0}\n', 'a key of names: is no number'),
        ('train: images/train\nnc: 3\nnames: [disc, bar]\n', 'says nc: 3, but has 2 names'),
        ('names: [disc, bar]\n', 'names no images'),
        ('train: pictures\nnames: [disc, bar]\n', 'train: names pictures, but there is no yolo/pictures'),
        ('train: {a: b}\nnames: [disc, bar]\n', 'train: has an entry that is no path|names a, but'),
        (BOMB, r', line 2: \*a refers to another part'),
        ('names: ' + '[' * 100000, ', line 1: its parts are nested too deep'),
        ('names: [a\0b]', 'it is no YAML'),
    ],
)
def test_mistakes_in_yaml_files(train, val, text, words):
    write_yolo(train, val, text)
    with pytest.raises(UserError, match=words) as caught:
        read_labels('yolo/data.yaml')
    assert 'yolo/data.yaml' in str(caught.value) and '\n' not in str(caught.value)


def test_yaml_files_that_are_no_data_sets_are_passed_over(train):
    truth = label_forms.write_cvat(train, Path('cvat'))
    Path('cvat/compose.yaml').write_text('services: {}\n')
    check(read_labels('cvat'), truth, 'COCO')


def test_no_label_at_all_is_no_set_of_empty_images(train, val):
    write_yolo(train, val, ULTRALYTICS)
    shutil.rmtree('yolo/labels/train')
    with pytest.raises(UserError, match=r'none of the 6 images of .* has a label file; .*labels/train/0000\.txt was'):
        read_labels('yolo')


def test_all_mistakes_of_a_set_are_told_at_once(train, tmp_path):
    """In every form: as many as there are, each with its place."""
    coco = label_forms.write_voc(train, 'voc')
    first, second = sorted(Path('voc/Annotations').iterdir())[:2]
    first.write_text(first.read_text().replace('<xmin>', '<xmin>x', 1))
    second.write_text('<annotation>')
    label_forms.write_yolo_part(train, Path('yolo/images'), Path('yolo/labels'), NAMES)
    Path('yolo/data.yaml').write_text('train: images\nnames: [disc, bar]\n')
    Path('yolo/labels/0000.txt').write_text('7 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.1 0.1\n0 0.5\n')
    coco['annotations'][0]['bbox'] = 3
    del coco['images'][1]['width']
    train.ann_file.write_text(json.dumps(coco))
    for path, words in (
        (train.ann_file, ["has no 'width'", 'the bbox of entry 0']),
        ('voc', [f'{second.name}, line 1: it is no XML', "<xmin> is 'x"]),
        ('yolo/data.yaml', ['0000.txt, line 1: the class is 7', '0000.txt, line 3: it has 2 numbers']),
    ):
        with pytest.raises(UserError) as told:
            read_labels(path)
        begin, *lines = str(told.value).splitlines()
        assert begin.startswith(str(path)) and begin.endswith(' has 2 mistakes:') and len(lines) == 2
        for number, (word, line) in enumerate(zip(words, lines), 1):
            assert line.startswith(f'  {number}. ') and word in line


def told_of(path, text):
    """What is said of a data set that has this text in three of its six label files."""
    for name in ('0000', '0001', '0002'):
        Path(f'yolo/labels/train/{name}.txt').write_text(text)
    with pytest.raises(UserError) as told:
        read_labels(path)
    return str(told.value)


@pytest.mark.parametrize(
    'line, words',
    [
        ('0 0.5 0.5 0.5 0.5 0.9', 'it has 6 numbers, '),
        ('0 48 36 20 20', '48 is not from 0 to 1: '),
        ('7 0.5 0.5 0.5 0.5', 'the class is 7, '),
        ('disc 0.5 0.5 0.5 0.5', "a value is 'disc', "),
    ],
)
def test_a_mistake_of_all_lines_is_told_once(train, val, line, words):
    """By its first place and its number, so that it hides no other one."""
    write_yolo(train, val, ULTRALYTICS)
    told = told_of('yolo', f'{line}\n' * 20)
    assert f'yolo/labels/train/0000.txt, line 1: {words}' in told and told.endswith(' (60 such mistakes).')
    assert told.count('\n') == 0 and told.count('such mistakes') == 1
    begin, *lines = told_of('yolo', f'0 0.5 0.5 0.5 0.5\n{line}\n0 0.5 0.5\n{line}\n').splitlines()
    assert begin == 'yolo/data.yaml has 2 mistakes:' and [each[:4] for each in lines] == ['  1.', '  2.']
    assert f'0000.txt, line 2: {words}' in lines[0] and lines[0].endswith(' (6 such mistakes).')
    assert '0000.txt, line 3: it has 3 numbers, ' in lines[1] and lines[1].endswith(' (3 such mistakes).')


def test_other_numbers_of_values_are_other_mistakes(train, val):
    write_yolo(train, val, ULTRALYTICS)
    told = told_of('yolo', '0 0.5 0.5\n0 0.5\n0 0.5\n')
    assert 'has 2 mistakes' in told and 'it has 3 numbers' in told and 'it has 2 numbers' in told
