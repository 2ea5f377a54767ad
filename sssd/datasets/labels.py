"""One reader for labels as people have them: COCO, Pascal VOC, YOLO, LabelMe, CSV, and exports of Roboflow and CVAT.

A form is known by its files alone. What a path leads to is divided into parts, ``train``, ``val`` and ``test``, or is
one whole. Nothing is ever written here, and no image is decoded.

mmdet's own XMLDataset reads VOC in its own layout alone and drops what it does not know; ``supervision`` reads all
three forms, but opens no list of folders, names neither file nor line of a mistake, and brings the FFmpeg libraries;
its boxes are what ours are compared with.
"""

from collections.abc import Sequence
from pathlib import Path

from sssd.datasets.coco import find_coco
from sssd.datasets.csv_table import find_csv
from sssd.datasets.forms import WHOLE, Labels, Readers
from sssd.datasets.labelme import find_labelme
from sssd.datasets.voc import find_voc
from sssd.datasets.yolo import find_yolo
from sssd.datasets.yolo_folder import find_folder
from sssd.errors import UserError

__all__ = ['Labels', 'aligned', 'own_validation', 'parts_of', 'read_labels']

_FINDERS = {'COCO': find_coco, 'VOC': find_voc, 'YOLO': find_yolo, 'LabelMe': find_labelme}
#: What exports come in.
_PACKED = ('.zip', '.gz', '.tgz', '.tar', '.7z', '.rar', '.xz', '.bz2')
_LOOKED_FOR = (
    'a COCO file (.json; Roboflow: train/_annotations.coco.json; CVAT: annotations/instances_*.json), a data.yaml of '
    "YOLO with names:, an obj.data of CVAT's YOLO 1.1, label files of YOLO with the names of their classes in a "
    'classes.txt, XML files of VOC (Annotations/*.xml, or beside the images), JSON files of LabelMe beside the images, '
    'and a table (.csv; Roboflow: train/_annotations.csv)'
)


def parts_of(path: str | Path, images: str | None = None) -> Readers:
    """The parts of a data set, ``train``, ``val``, ``test`` or ``all``, each with a function that reads it.

    Args:
        path: A file or folder of any form.
        images: The folder of the images, where the form does not tell it.

    Raises:
        UserError: If it is of no form, or of several.
    """
    path = Path(path)
    if not path.is_file() and not path.is_dir():
        raise UserError(f'{path} is no file and no folder: name the labels.')
    found = {form: readers for form, find in _FINDERS.items() if (readers := find(path, images))}
    if not found and path.is_dir():  # texts and a list of classes lie beside many others
        found = {'YOLO': readers} if (readers := find_folder(path, images)) else {}
    if not found:  # and so do tables
        found = {'CSV': readers} if (readers := find_csv(path, images)) else {}
    if not found and path.suffix.lower() in _PACKED:
        raise UserError(f'{path} is packed: unpack it, and name the folder.')
    if not found:
        raise UserError(f'{path} holds no labels of a form that is known here; looked for: {_LOOKED_FOR}.')
    if len(found) > 1:
        raise UserError(f'{path} holds labels in the forms {" and ".join(found)}: name the file or folder of one.')
    return next(iter(found.values()))


def read_labels(path: str | Path, images: str | None = None, part: str = 'train') -> Labels:
    """Read labelled images of any form.

    Args:
        path: A COCO file; a data.yaml or obj.data; a folder of XML files, of LabelMe's or of YOLO's; or a folder with
            any of them, such as an export.
        images: The folder of the images, where the form does not tell it.
        part: What to take of a data set that is divided: ``'train'``, or ``'val'``, for which ``test`` is taken if
            there is nothing else. One that is not divided is taken whole.

    Raises:
        UserError: Naming the file, and the line where there is one, of what is wrong.
    """
    parts = parts_of(path, images)
    wanted = ('train', WHOLE) if part == 'train' else ('val', WHOLE, 'test')
    name = next((name for name in wanted if name in parts), None)
    if name is None:
        raise UserError(
            f'{path} has only the part {", ".join(parts)}, and none for {part}: name another file or folder.'
        )
    labels = parts[name]()
    if not labels.coco['images']:
        raise UserError(f'{labels.source} has no image: check the path.')
    return labels


def own_validation(path: str | Path, images: str | None = None) -> Labels | None:
    """The validation part that a data set brings along, None if it has none; its test part is left alone."""
    parts = parts_of(path, images)
    return parts['val']() if 'val' in parts and {'train', WHOLE} & set(parts) else None


def aligned(labels: Labels, names: Sequence[str]) -> dict:
    """The COCO dict of ``labels`` with the categories ``names`` first, in this order, and others after them."""
    names = list(names)
    theirs = {category['id']: category['name'] for category in labels.coco['categories']}
    names += [name for name in theirs.values() if name not in names]
    ids = {old: names.index(name) + 1 for old, name in theirs.items()}
    return dict(
        labels.coco,
        annotations=[
            dict(thing, category_id=ids.get(thing['category_id'], thing['category_id']))
            for thing in labels.coco['annotations']
        ],
        categories=[dict(id=number, name=name) for number, name in enumerate(names, 1)],
    )
