"""Labels in a table: what a COCO set has comes out, whatever its columns are called; mistakes name their line."""

import json
import shutil
from pathlib import Path

import pytest
from label_forms import boxes_of, check, things_of

from sssd.datasets.labels import own_validation, parts_of, read_labels
from sssd.errors import UserError

TENSORFLOW = 'filename,width,height,class,xmin,ymin,xmax,ymax'


def rows_of(coco, name=str):
    """The rows of TensorFlow's table, one with the image alone for one without objects."""
    rows = []
    for image in coco['images']:
        head = [name(image['file_name']), image['width'], image['height']]
        things = things_of(coco, image)
        rows += [[*head, label, x, y, x + w, y + h] for label, (x, y, w, h) in things] or [[*head, *[''] * 5]]
    return rows


def write(data, folder, table='_annotations.csv', head=TENSORFLOW, rows=None, images=None, comma=','):
    """A table and its images; the COCO dict."""
    coco = json.loads(data.ann_file.read_text())
    images = Path(images or folder)
    for place in (Path(folder), images):
        place.mkdir(parents=True, exist_ok=True)
    for image in coco['images']:
        shutil.copy(data.img_dir / image['file_name'], images)
    lines = [comma.join(map(str, row)) for row in (rows or rows_of(coco))]
    Path(folder, table).write_text('\n'.join([head.replace(',', comma), *lines]) + '\n')
    return coco


def test_a_table_beside_its_images(train):
    truth = write(train, 'set')
    labels = read_labels('set')
    check(labels, truth, 'CSV')
    assert labels.file is None and len(boxes_of(labels.coco)) == 6
    assert labels.notes == ('1 image with a row that has no object',)
    check(read_labels('set/_annotations.csv'), truth, 'CSV')


def test_roboflows_parts(train, val):
    truth = write(train, 'export/train')
    held_out = write(val, 'export/valid')
    assert set(parts_of('export')) == {'train', 'val'}
    check(read_labels('export'), truth, 'CSV')
    check(own_validation('export'), held_out, 'CSV')


@pytest.mark.parametrize('images', ['set/images', 'elsewhere'])
def test_images_in_a_folder_of_their_own(train, images):
    truth = write(train, 'set', 'labels.csv', images=images)
    check(read_labels('set', None if images == 'set/images' else images), truth, 'CSV')


@pytest.mark.parametrize('comma', [';', '\t'])
@pytest.mark.parametrize(
    'head', ['Image_Path,Image_Width,Image_Height,Label,X1,Y1,X2,Y2', 'path,w,h,category,x_min,y_min,x_max,y_max']
)
def test_columns_are_known_by_their_names(train, head, comma):
    """Sizes that are not known as such come from the images; names may have folders of another machine."""
    rows = rows_of(json.loads(train.ann_file.read_text()), lambda name: f'C:\\photos\\{name}')
    truth = write(train, 'set', 'my.csv', head, [[*row[::-1]] for row in rows], comma=comma)
    text = Path('set/my.csv').read_text().replace(head.replace(',', comma), comma.join(head.split(',')[::-1]))
    Path('set/my.csv').write_text(text, 'utf-8-sig')
    check(read_labels('set/my.csv'), truth, 'CSV')


def test_names_without_an_ending(train):
    write(train, 'set', rows=rows_of(json.loads(train.ann_file.read_text()), lambda name: name[:-4]))
    shutil.copy('set/0000.png', 'set/0001.1.png')
    text = Path('set/_annotations.csv').read_text()
    Path('set/_annotations.csv').write_text(f'{text}0001.1,64,64,disc,1,2,11,22\n')
    found = boxes_of(read_labels('set').coco)
    assert found['0001.1.png'] == [('disc', 1, 2, 10, 20)] and len(found) == 7


def test_images_that_the_table_does_not_name_are_left_out(train):
    coco = json.loads(train.ann_file.read_text())
    write(train, 'set', rows=[row for row in rows_of(coco) if row[0] != '0001.png'])
    labels = read_labels('set')
    assert len(labels.coco['images']) == 5 and '1 image that the table does not name: left out' in labels.notes


@pytest.mark.parametrize(
    'row, words',
    [
        ('0000.png,64,64,disc,1,2,x,20', r"line 3: xmax is 'x', but has to be a number"),
        ('0000.png,64,64,disc,1,2,10', r"line 3: ymax is '', but has to be a number"),
        ('0000.png,64,64,disc,30,2,10,20', r'line 3: the box \(30, 2, 10, 20\) ends before it begins'),
        ('0000.png,64,64,,3,2,10,20', 'line 3: its object has no class'),
        (',64,64,disc,3,2,10,20', 'line 3: it names no image'),
        ('gone.png,64,64,disc,3,2,10,20', 'line 3: its image is not in set'),
        ('a/0000.png,64,64,disc,3,2,10,20', r"lines 2 and 3: '0000.png' and 'a/0000.png' are the same image"),
    ],
)
def test_mistakes_in_rows(train, row, words):
    write(train, 'set', rows=[['0000.png', 64, 64, 'disc', 1, 2, 10, 20], row.split(',')])
    with pytest.raises(UserError, match=words):
        read_labels('set')


@pytest.mark.parametrize(
    'head, words',
    [
        ('filename,xmin,ymin,xmax,ymax', "has no column 'class' in its first row"),
        ('filename,class,class,xmin,ymin,xmax,ymax', "has two columns 'class'"),
        ('', 'is empty'),
    ],
)
def test_tables_of_another_kind(train, head, words):
    Path('labels.csv').write_text(f'{head}\n')
    with pytest.raises(UserError, match=words):
        read_labels('labels.csv')


def test_a_table_beside_labels_of_another_form_is_none(train):
    Path('truth/labels.csv').write_text('run,score\n')
    assert read_labels('truth').form == 'COCO'


@pytest.mark.parametrize('name', ['export.zip', 'export.tar.gz'])
def test_what_is_packed_is_told(train, name):
    Path(name).write_bytes(b'PK\3\4')
    with pytest.raises(UserError, match=f'{name} is packed: unpack it, and name the folder'):
        read_labels(name)
