"""A COCO set written in other forms, as their tools write them; nothing of sssd is used."""

import json
import os
import shutil
from pathlib import Path

import pytest

XML = """<annotation verified="yes">
\t<folder>{folder}</folder>
\t<filename>{name}</filename>
\t<size><width>{width}</width><height>{height}</height><depth>3</depth></size>
\t<segmented>0</segmented>
{objects}
</annotation>
"""
OBJECT = """\t<object>
\t\t<name>{name}</name><pose>Unspecified</pose><truncated>0</truncated><difficult>{difficult}</difficult>
\t\t<bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bndbox>
\t</object>"""


def boxes_of(coco):
    """{file name: sorted [(class, x, y, width, height)]} of a COCO dict: what has to come out of every form."""
    names = {category['id']: category['name'] for category in coco['categories']}
    files = {image['id']: image['file_name'].rsplit('/', 1)[-1] for image in coco['images']}
    found = {name: [] for name in files.values()}
    for thing in coco['annotations']:
        found[files[thing['image_id']]].append((names[thing['category_id']], *thing['bbox']))
    return {name: sorted(boxes) for name, boxes in found.items()}


def check(labels, truth, form):
    """The boxes are the true ones, sizes too, and images lie where it is said."""
    assert labels.form == form
    found, expected = boxes_of(labels.coco), boxes_of(truth)
    assert {name: [box[0] for box in boxes] for name, boxes in found.items()} == {
        name: [box[0] for box in boxes] for name, boxes in expected.items()
    }
    for name, boxes in expected.items():
        assert [box[1:] for box in found[name]] == [pytest.approx(box[1:], abs=1e-3) for box in boxes]
    sizes = {image['file_name']: (image['width'], image['height']) for image in truth['images']}
    for image in labels.coco['images']:
        assert os.path.isfile(os.path.join(labels.images, image['file_name']))
        assert (image['width'], image['height']) == sizes.get(
            image['file_name'], sizes.get(Path(image['file_name']).name)
        )
    for thing in labels.coco['annotations']:
        assert thing['area'] == pytest.approx(thing['bbox'][2] * thing['bbox'][3], abs=0.1)
    ids = [thing['id'] for thing in labels.coco['annotations']]
    assert len(set(ids)) == len(ids)


def things_of(coco, image):
    """(class, box) of each object of an image."""
    names = {category['id']: category['name'] for category in coco['categories']}
    return [
        (names[thing['category_id']], thing['bbox'])
        for thing in coco['annotations']
        if thing['image_id'] == image['id']
    ]


def xml_of(image, things, first=1, difficult=()):
    """Text of a VOC file; ``first`` is 1 for first and last pixels counted from 1, as in VOC, and 0 for corners."""
    objects = [
        OBJECT.format(x + first, y + first, x + w, y + h, name=name, difficult=int(number in difficult))
        for number, (name, (x, y, w, h)) in enumerate(things)
    ]
    return XML.format(
        folder='pictures',
        name=image['file_name'],
        width=image['width'],
        height=image['height'],
        objects='\n'.join(objects),
    )


def write_voc(data, root, flat=False, first=1, lists=None):
    """``JPEGImages``, ``Annotations`` and, for ``lists`` {name: images}, ``ImageSets/Main``; or all in one folder."""
    root = Path(root)
    coco = json.loads(data.ann_file.read_text())
    images, labels = (root, root) if flat else (root / 'JPEGImages', root / 'Annotations')
    for folder in (images, labels):
        folder.mkdir(parents=True, exist_ok=True)
    for image in coco['images']:
        shutil.copy(data.img_dir / image['file_name'], images)
        name = Path(image['file_name']).with_suffix('.xml').name
        (labels / name).write_text(xml_of(image, things_of(coco, image), first))
    for name, stems in (lists or {}).items():
        path = root / f'ImageSets/Main/{name}.txt'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('\n'.join(stems) + '\n')
    return coco


def yolo_lines(image, things, names):
    """The lines of a label file, at the precision of Roboflow's."""
    width, height = image['width'], image['height']
    return ''.join(
        f'{names.index(name)} {(x + w / 2) / width:.9f} {(y + h / 2) / height:.9f} {w / width:.9f} {h / height:.9f}\n'
        for name, (x, y, w, h) in things
    )


def write_yolo_part(data, images, labels, names, empty='none'):
    """One part: images and label files; of images without objects none, or an ``empty`` one."""
    coco = json.loads(data.ann_file.read_text())
    for folder in (images, labels):
        folder.mkdir(parents=True, exist_ok=True)
    for image in coco['images']:
        shutil.copy(data.img_dir / image['file_name'], images)
        lines = yolo_lines(image, things_of(coco, image), names)
        if lines or empty != 'none':
            (labels / image['file_name']).with_suffix('.txt').write_text(lines)
    return coco


def write_roboflow_coco(data, folder, name='animals'):
    """``_annotations.coco.json`` beside its images: category 0 groups the others, which count from 1."""
    coco = json.loads(data.ann_file.read_text())
    folder.mkdir(parents=True)
    for image in coco['images']:
        shutil.copy(data.img_dir / image['file_name'], folder)
        image.update(license=1, date_captured='2024-01-01T00:00:00+00:00', extra=dict(name=image['file_name']))
    for number, thing in enumerate(coco['annotations']):
        thing.update(id=number, segmentation=[])
    coco['categories'] = [dict(id=0, name=name, supercategory='none')] + [
        dict(category, supercategory=name) for category in coco['categories']
    ]
    (folder / '_annotations.coco.json').write_text(json.dumps(coco))
    return coco


def write_cvat(data, root, subset='default'):
    """``annotations/instances_SUBSET.json`` and ``images/SUBSET/``, the subset in each file name."""
    coco = json.loads(data.ann_file.read_text())
    (root / 'annotations').mkdir(parents=True, exist_ok=True)
    for image in coco['images']:
        place = root / 'images' / subset
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(data.img_dir / image['file_name'], place)
        image.update(file_name=f'{subset}/{image["file_name"]}', license=0, flickr_url='', coco_url='', date_captured=0)
    for thing in coco['annotations']:
        x, y, w, h = thing['bbox']
        outline = [x, y, x + w, y, x + w, y + h, x, y + h]
        thing.update(segmentation=[outline], attributes=dict(occluded=False, rotation=0.0))
    for category in coco['categories']:
        category['supercategory'] = ''
    coco.update(info=dict(contributor='', date_created=''), licenses=[dict(name='', id=0, url='')])
    (root / f'annotations/instances_{subset}.json').write_text(json.dumps(coco))
    return coco


def rectangle(name, box, turned=False, **more):
    """A shape of LabelMe around a box; ``turned`` begins at its lower right corner, as it may have been drawn."""
    x, y, w, h = box
    corners = [[x, y], [x + w, y + h]]
    corners = corners[::-1] if turned else corners
    return dict(label=name, points=corners, group_id=None, shape_type='rectangle', flags={}) | more


def labelme_of(image, shapes, path=None, **more):
    """What a file of LabelMe holds; ``path`` is its imagePath."""
    return (
        dict(
            version='5.4.1',
            flags={},
            shapes=shapes,
            imagePath=image['file_name'] if path is None else path,
            imageData=None,
            imageHeight=image['height'],
            imageWidth=image['width'],
        )
        | more
    )


def write_labelme(data, images, labels=None):
    """One JSON an image, beside it or in a folder ``labels``; every second rectangle from its lower right corner."""
    coco = json.loads(data.ann_file.read_text())
    images, labels = Path(images), Path(labels or images)
    for folder in (images, labels):
        folder.mkdir(parents=True, exist_ok=True)
    for image in coco['images']:
        shutil.copy(data.img_dir / image['file_name'], images)
        shapes = [rectangle(*thing, turned=bool(n % 2)) for n, thing in enumerate(things_of(coco, image))]
        path = os.path.relpath(images / image['file_name'], labels)
        (labels / image['file_name']).with_suffix('.json').write_text(json.dumps(labelme_of(image, shapes, path)))
    return coco


def write_cvat_yolo(data, root, names, part='train', above='data/'):
    """``obj.data``, ``obj.names``, ``PART.txt`` and ``obj_PART_data/``; further parts of a root are added."""
    root.mkdir(parents=True, exist_ok=True)
    folder = root / f'obj_{part}_data'
    coco = write_yolo_part(data, folder, folder, names, empty='file')
    lines = [f'{above}{folder.name}/{image["file_name"]}\n' for image in coco['images']]
    (root / f'{part}.txt').write_text(''.join(lines))
    (root / 'obj.names').write_text(''.join(f'{name}\n' for name in names))
    parts = [each for each in ('train', 'valid', 'test') if (root / f'{each}.txt').is_file()]
    lists = ''.join(f'{each} = {above}{each}.txt\n' for each in parts)
    (root / 'obj.data').write_text(f'classes = {len(names)}\n{lists}names = {above}obj.names\nbackup = backup/\n')
    return coco
