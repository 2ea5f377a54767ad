"""Folders with label files of YOLO and a list of classes, without a file that says where the images are.

labelImg writes them into the folder of the images, or into one of their own; Label Studio has ``images/`` and
``labels/``; Roboflow's Darknet export has a folder a part. What has no label file nobody labelled: both write an empty
one for an image without objects.
"""

import os
from functools import partial
from pathlib import Path

from sssd.datasets.beside import part_of
from sssd.datasets.darknet import class_names
from sssd.datasets.forms import PARTS, WHOLE, Labels, Readers, called, find_files
from sssd.datasets.yolo_labels import CLASSES, Part, read_part
from sssd.listing import list_folder

#: How lists of classes are called: by labelImg and Label Studio, by Roboflow, and by Darknet.
_LISTS = (CLASSES, '_darknet.labels', 'obj.names')


def find_folder(path: Path, images: str | None) -> Readers:
    """The parts of a folder with a list of classes and label files; none if there are no such.

    Args:
        path: The folder: with ``images/`` and ``labels/``, with images and label files, with label files alone, or
            with a sub-folder a part.
        images: The folder of the images, if the user named it.
    """
    labels = next(iter(called(path, 'labels')), path)
    classes = next((place / name for place in (path, labels) for name in _LISTS if (place / name).is_file()), None)
    if classes is None:
        inner = {PARTS[place.name.lower()]: find_folder(place, images) for place in called(path, *PARTS)}
        return {part: readers[WHOLE] for part, readers in inner.items() if WHOLE in readers}
    beside = called(path.parent, 'images') if path.name.lower() == 'labels' else []
    own = next(iter([*called(path, 'images'), *beside]), None)
    place = Path(images) if images is not None else own or path
    names = list(list_folder(str(place)).names())
    if own is None and not _labelled(labels, names):
        return {}
    told = sorted({part_of(name) for name in names})
    if told in ([], ['train']):
        return {WHOLE: partial(_read, path, place, labels, classes, names)}
    return {
        part: partial(_read, path, place, labels, classes, [name for name in names if part_of(name) == part], part)
        for part in told
    }


def _labelled(labels: Path, images: list[str]) -> bool:
    """Whether a folder has a label file of an image; texts of other kinds may lie there too."""
    stems = {os.path.splitext(os.path.basename(name))[0] for name in images}
    return any(file.stem in stems for file in find_files(labels, '.txt'))


def _read(path: Path, place: Path, labels: Path, classes: Path, names: list[str], key: str = '') -> Labels:
    """Read some images of ``place``, whose labels are in the same sub-folders of ``labels``, or beside them."""
    paths = [os.path.join(os.path.abspath(place), name) for name in names]

    def folders(folder: Path) -> list[Path]:
        return [labels / os.path.relpath(folder, os.path.abspath(place)), folder]

    return read_part(
        Part(path, dict(zip(paths, paths)), class_names(classes), [place], folders, key=key, backgrounds=False)
    )
