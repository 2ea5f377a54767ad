"""Boxes written in the forms that label editors take: COCO, YOLO, Pascal VOC, and the tasks of Label Studio.

What goes in is the content of a COCO file whose ``file_name`` are relative to a folder of images; an annotation may
have a ``score``. Images stay where they are: YOLO and VOC tell by a path which labels are of which image, so their
folders hold links to the images.

``supervision`` writes the first three as well, but copies the images, takes only a flat folder of them and brings the
FFmpeg libraries.
"""

import json
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

from sssd.datasets.forms import saying_where
from sssd.datasets.json_io import write_json
from sssd.datasets.yolo_labels import label_path
from sssd.errors import UserError, shorten

#: Names of the forms.
FORMS = ('coco', 'yolo', 'voc', 'labelstudio')
COCO_FILE, YOLO_FILE, TASKS_FILE, LABELING_FILE = 'labels.json', 'data.yaml', 'tasks.json', 'labeling_config.xml'
#: Where Label Studio serves files of its own machine, relative to its LOCAL_FILES_DOCUMENT_ROOT.
LOCAL_FILES = '/data/local-files/?d='
#: What a folder ``images`` among the images is called in the form of YOLO.
RENAMED = 'images_'
_PART = 'train'


def write_labels(
    form: str, coco: Mapping, images: str, folder: str | Path, url: str = LOCAL_FILES, version: str = ''
) -> list[Path]:
    """Write labels in one of :data:`FORMS`.

    Args:
        form: Which.
        coco: ``images``, ``annotations`` (x, y, width, height in pixels, within the image) and ``categories``.
        images: The folder that the images' names are relative to.
        folder: Where to write.
        url: For Label Studio, what stands before the name of an image.
        version: For Label Studio, the model that made the boxes.

    Returns:
        The files that a user would name, the one to import first.

    Raises:
        UserError: If two images would have the same file of labels, or no link can be made.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if form == 'coco':
        return write_coco(coco, images, folder)
    if form == 'labelstudio':
        return write_label_studio(coco, folder, url, version)
    writers: dict[str, Callable] = dict(yolo=write_yolo, voc=write_voc)
    return writers[form](coco, images, folder)


def check_form(form: str, images: str, names: Sequence[str], folder: str | Path) -> None:
    """Refuse beforehand what :func:`write_labels` would refuse in the end.

    Args:
        form: One of :data:`FORMS`.
        images: The folder that the images' names are relative to.
        names: The images.
        folder: Where the labels will be written; it is there.

    Raises:
        UserError: As there.
    """
    if form in ('yolo', 'voc'):
        _refuse_same_stems(names, form)
        link = Path(folder, f'.link_{os.getpid()}')
        _link(images, names[0], link)
        link.unlink()


def write_coco(coco: Mapping, images: str, folder: Path) -> list[Path]:
    """One COCO file, which says in its ``info`` where the images are."""
    path = folder / COCO_FILE
    things = [dict(thing, segmentation=thing.get('segmentation', [])) for thing in coco['annotations']]
    write_json(path, saying_where(dict(coco, annotations=things), images, path))
    return [path]


def write_yolo(coco: Mapping, images: str, folder: Path) -> list[Path]:
    """``data.yaml``, a list of the images, and a text file for each, as Ultralytics has them; scores are left out.

    A folder ``images`` among the images is linked under :data:`RENAMED`: readers look for labels where the last
    ``images`` of a path is turned into ``labels``.
    """
    _refuse_same_stems([image['file_name'] for image in coco['images']], 'yolo')
    numbers = {category['id']: number for number, category in enumerate(coco['categories'])}
    listed = []
    for image, things in _by_image(coco):
        *parents, name = Path(image['file_name']).parts
        link = Path('images', _PART, *[RENAMED if part == 'images' else part for part in parents], name)
        _link(images, image['file_name'], folder / link)
        width, height = image['width'], image['height']
        rows = []
        for thing in things:
            x, y, w, h = thing['bbox']
            shares = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
            rows.append(f'{numbers[thing["category_id"]]} {" ".join(f"{share:.6f}" for share in shares)}\n')
        path = folder / label_path(str(link))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(''.join(rows))
        listed.append(f'{link.as_posix()}\n')
    (folder / f'{_PART}.txt').write_text(''.join(listed), 'utf-8')
    names = ''.join(f'  {number}: {json.dumps(each["name"])}\n' for number, each in enumerate(coco['categories']))
    (folder / YOLO_FILE).write_text(f'path: ./\n{_PART}: {_PART}.txt\nnames:\n{names}', 'utf-8')
    return [folder / YOLO_FILE, folder / f'{_PART}.txt']


def write_voc(coco: Mapping, images: str, folder: Path) -> list[Path]:
    """``Annotations/*.xml`` and a list of the images; whole pixels counted from 1, scores are left out."""
    _refuse_same_stems([image['file_name'] for image in coco['images']], 'voc')
    names = {category['id']: category['name'] for category in coco['categories']}
    listed = []
    for image, things in _by_image(coco):
        name = image['file_name']
        _link(images, name, folder / 'JPEGImages' / name)
        stem = os.path.splitext(name)[0]
        path = folder / 'Annotations' / f'{stem}.xml'
        path.parent.mkdir(parents=True, exist_ok=True)
        root = ElementTree.Element('annotation')
        _add(root, folder='JPEGImages', filename=name)
        _add(ElementTree.SubElement(root, 'size'), width=image['width'], height=image['height'], depth=3)
        _add(root, segmented=0)
        for thing in things:
            inner = ElementTree.SubElement(root, 'object')
            kind = names[thing['category_id']]
            _add(inner, name=kind, pose='Unspecified', truncated=0, difficult=0)
            _add(ElementTree.SubElement(inner, 'bndbox'), **_pixels(thing['bbox'], image))
        ElementTree.indent(root)
        ElementTree.ElementTree(root).write(path, encoding='utf-8')
        listed.append(f'{stem}\n')
    lists = folder / 'ImageSets' / 'Main'
    lists.mkdir(parents=True, exist_ok=True)
    (lists / f'{_PART}.txt').write_text(''.join(listed), 'utf-8')
    return [folder / 'Annotations', lists / f'{_PART}.txt']


def write_label_studio(coco: Mapping, folder: Path, url: str = LOCAL_FILES, version: str = '') -> list[Path]:
    """Label Studio's tasks with predictions, in percent of the image, and the labeling config that they are for."""
    names = {category['id']: category['name'] for category in coco['categories']}
    tasks = []
    for image, things in _by_image(coco):
        results = [_region(thing, names[thing['category_id']], image) for thing in things]
        prediction = dict(model_version=version, result=results)
        if things and all('score' in thing for thing in things):  # by the mean, tasks are sorted there
            prediction['score'] = round(sum(thing['score'] for thing in things) / len(things), 4)
        tasks.append(dict(data=dict(image=url + quote(image['file_name'])), predictions=[prediction]))
    write_json(folder / TASKS_FILE, tasks)
    (folder / LABELING_FILE).write_text(labeling_config([names[key] for key in names]), 'utf-8')
    return [folder / TASKS_FILE, folder / LABELING_FILE]


def labeling_config(classes: list[str]) -> str:
    """The interface of a Label Studio project in which boxes of these classes are drawn."""
    view = ElementTree.Element('View')
    ElementTree.SubElement(view, 'Image', name='image', value='$image')
    labels = ElementTree.SubElement(view, 'RectangleLabels', name='label', toName='image')
    for name in classes:
        ElementTree.SubElement(labels, 'Label', value=name)
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding='unicode') + '\n'


def _region(thing: Mapping, name: str, image: Mapping) -> dict:
    """One box as Label Studio has it."""
    x, y, w, h = thing['bbox']
    width, height = image['width'], image['height']
    sides = dict(x=x / width, y=y / height, width=w / width, height=h / height)
    percent = {key: round(100 * share, 6) for key, share in sides.items()}
    region = dict(
        id=f'box{thing["id"]}',
        type='rectanglelabels',
        from_name='label',
        to_name='image',
        original_width=width,
        original_height=height,
        image_rotation=0,
        value=dict(percent, rotation=0, rectanglelabels=[name]),
    )
    return dict(region, score=thing['score']) if 'score' in thing else region


def _by_image(coco: Mapping):
    """Each image with its annotations."""
    things = defaultdict(list)
    for thing in coco['annotations']:
        things[thing['image_id']].append(thing)
    return [(image, things[image['id']]) for image in coco['images']]


def _pixels(box, image: Mapping) -> dict[str, int]:
    """The first and the last pixel of a box, counted from 1: at least one, and within the image."""
    x, y, w, h = box
    first = min(round(x) + 1, image['width']), min(round(y) + 1, image['height'])
    last = min(round(x + w), image['width']), min(round(y + h), image['height'])
    return dict(xmin=first[0], ymin=first[1], xmax=max(last[0], first[0]), ymax=max(last[1], first[1]))


def _add(parent, **texts) -> None:
    for name, text in texts.items():
        ElementTree.SubElement(parent, name).text = str(text)


def _link(images: str, name: str, link: Path) -> None:
    """A link to an image, which stays where it is."""
    link.parent.mkdir(parents=True, exist_ok=True)
    try:
        link.symlink_to(os.path.abspath(os.path.join(images, name)))
    except OSError as error:
        raise UserError(
            f'{link} cannot be made a link to its image ({error.strerror}): name another folder, or take --to coco, '
            'which needs no links.'
        ) from error


def _refuse_same_stems(names: Sequence[str], form: str) -> None:
    """Refuse images that differ in their extension alone.

    Raises:
        UserError: Naming the first ones.
    """
    stems = defaultdict(list)
    for name in names:
        stems[os.path.splitext(name)[0]].append(name)
    twice = next((names for names in stems.values() if len(names) > 1), None)
    if twice:
        raise UserError(
            f'{shorten(twice)} would have one file of labels in the form {form}: rename one of them, or take --to coco.'
        )
