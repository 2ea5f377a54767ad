"""Folders with label files of YOLO and a list of classes, without a file that says where the images are.

labelImg writes them into the folder of the images, or into one of their own; Label Studio has ``images/`` and
``labels/``; Roboflow's Darknet export has a folder a part. What has no label file nobody labelled: both write an empty
one for an image without objects.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path, PurePosixPath

from sssd.datasets.beside import part_of
from sssd.datasets.darknet import class_names
from sssd.datasets.forms import PARTS, WHOLE, Labels, Readers, called
from sssd.datasets.yolo_labels import CLASSES, Part, label_folders, label_of, read_part, texts_of
from sssd.errors import UserError
from sssd.listing import list_folder

#: How lists of classes are called: by labelImg and Label Studio, by Roboflow, and by Darknet.
_LISTS = (CLASSES, '_darknet.labels', 'obj.names')
_IMAGE_LISTS = ('train.txt', 'val.txt', 'valid.txt', 'test.txt')
#: Names that mean a part, but do not say so plainly: ``val2017``, ``obj_train_data``.
_LIKE_A_PART = re.compile(r'(obj_)?(train|val|valid|test)[-_]?(\d+|data|set|images?)')


@dataclass(frozen=True)
class Folder:
    """Images, and the label files in the same sub-folders of another folder, or beside them.

    Attributes:
        source: What the user named.
        place: The folder of the images.
        labels: That of the label files.
        classes: The list of classes.
    """

    source: Path
    place: Path
    labels: Path
    classes: Path

    def names(self) -> list[str]:
        """The images, relative to their folder."""
        return list(list_folder(str(self.place)).names())

    def folders(self, folder: Path) -> list[Path]:
        """Where the labels of a folder's images may be."""
        return [self.labels / os.path.relpath(folder, os.path.abspath(self.place)), folder, *label_folders(folder)]

    def path(self, name: str) -> str:
        """The path of an image."""
        return os.path.join(os.path.abspath(self.place), name)

    def labelled(self) -> list[str]:
        """The images that have a label file."""
        folders, texts = cache(self.folders), cache(texts_of)
        return [name for name in self.names() if label_of(self.path(name), folders, texts) is not None]

    def read(self, part: str | None = None) -> Labels:
        """Read all images, or those of a part."""
        paths = [self.path(name) for name in self.names() if part in (None, part_of(name))]
        images, names = dict(zip(paths, paths)), class_names(self.classes)
        return read_part(
            Part(self.source, images, names, [self.place], self.folders, key=part or '', backgrounds=False)
        )


def find_folder(path: Path, images: str | None) -> Readers:
    """The parts of a folder with a list of classes and label files; none if there are no such.

    Args:
        path: The folder: with ``images/`` and ``labels/``, with images and label files, with label files alone, or
            with a sub-folder a part.
        images: The folder of the images, if the user named it.

    Raises:
        UserError: If there are several lists of classes, or of images, or it cannot be told what is a part.
    """
    labels = next(iter(called(path, 'labels')), path)
    classes = _classes_of(path, labels)
    if classes is None:
        return _by_part(path, images)
    beside = called(path.parent, 'images') if path.name.lower() == 'labels' else []
    own = next(iter([*called(path, 'images'), *beside]), path)
    folder = Folder(path, Path(images) if images is not None else own, labels, classes)
    labelled = folder.labelled()
    if not labelled:
        return {}
    _refuse_lists(path, labelled)
    _refuse_unclear(folder.place, labelled, 1)
    told = sorted({part_of(name) for name in labelled})
    return {part: partial(folder.read, part) for part in told} if len(told) > 1 else {WHOLE: folder.read}


def _by_part(path: Path, images: str | None) -> Readers:
    """The sub-folders that are called like parts; one without a list of classes has that of another."""
    places = {place: next(iter(called(place, 'labels')), place) for place in called(path, *PARTS)}
    lists = {place: _classes_of(place, labels) for place, labels in places.items()}
    any_list = next(filter(None, lists.values()), None)
    if any_list is None:
        return {}
    found: dict[str, Folder] = {}
    for place, labels in places.items():
        own = next(iter(called(place, 'images')), place)
        named = None if images is None else next(iter(called(Path(images), place.name)), Path(images))
        folder = Folder(place, named or own, labels, lists[place] or any_list)
        labelled, part = folder.labelled(), PARTS[place.name.lower()]
        if not labelled:
            continue
        if part in found:
            raise UserError(f'{found[part].source} and {place} are both the part {part}: take one out.')
        _refuse_unclear(folder.place, labelled, 0)
        found[part] = folder
    return {part: folder.read for part, folder in found.items()}


def _classes_of(path: Path, labels: Path) -> Path | None:
    """The list of classes among the label files, or above them; None without.

    Raises:
        UserError: If two of them differ.
    """
    places = dict.fromkeys((labels, *called(labels, *PARTS), path) if labels != path else (path,))
    found = [place / name for place in places for name in _LISTS if (place / name).is_file()]
    for other in found[1:]:
        if class_names(other) != class_names(found[0]):
            raise UserError(f'{found[0]} and {other} differ in the names of classes or their order: take one out.')
    return found[0] if found else None


def _refuse_lists(path: Path, labelled: Sequence[str]) -> None:
    """Refuse lists of images that no file says to be parts."""
    stems = {os.path.splitext(os.path.basename(name))[0] for name in labelled}
    found = [name for name in _IMAGE_LISTS if (path / name).is_file() and Path(name).stem not in stems]
    if found:
        raise UserError(
            f'{path} has a list of classes and of images ({", ".join(found)}), but nothing that says what they are: '
            'write a data.yaml with train:, val: and names:.'
        )


def _refuse_unclear(place: Path, labelled: Sequence[str], first: int) -> None:
    """Refuse sub-folders that mean parts, but are not called so, or from the level ``first`` on lie in others."""
    for name in labelled:
        for level, folder in enumerate(map(str.lower, PurePosixPath(name).parts[:-1])):
            if _LIKE_A_PART.fullmatch(folder) or (level >= first and folder in PARTS):
                raise UserError(
                    f'{place} has images in {os.path.dirname(name)}, which may be a part of the data set or not: write '
                    'a data.yaml with train:, val: and names:, or name the folder of one part.'
                )
