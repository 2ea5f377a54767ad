"""Labels in the XML files of Pascal VOC, in its own layout or with the XML files beside the images.

A box of VOC names its first and its last pixel, counted from 1, so it begins at ``xmin - 1`` and ends at ``xmax``; the
XMLDataset of mmdet ends it one pixel earlier.
"""

import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from sssd.datasets.beside import folder_of, holds, images_of, part_of, parts_by_folder, refuse_twice
from sssd.datasets.forms import (
    PARTS,
    WHOLE,
    Builder,
    Labels,
    Mistakes,
    Readers,
    called,
    files_by_stem,
    find_files,
    names_in,
    number_of,
    several,
)
from sssd.datasets.xml_safe import line_of, parse_xml
from sssd.errors import UserError
from sssd.images import EXTENSIONS, image_size, natural_key

_ANNOTATIONS = ('Annotations', 'xml', 'xmls')
_LISTS = Path('ImageSets', 'Main')
_SUFFIX = '.xml'
_CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')


def find_voc(path: Path, images: str | None) -> Readers:
    """The parts of a VOC data set; none if ``path`` is no such.

    Lists in ``ImageSets/Main`` tell its parts; without them, sub-folders of the XML files that are called like parts.

    Args:
        path: Its folder, one with XML files, or one of the lists below ``ImageSets/Main``.
        images: The folder of the images, if the user named it.
    """
    if path.is_file():
        if path.suffix == '.txt' and path.parent.parent.name == 'ImageSets':
            root = path.parents[2]
            folder = folder_of(root, _ANNOTATIONS, _holds_xml) or root
            return {WHOLE: lambda: _read(path, folder, images, path)}
        return {}
    folder = folder_of(path, _ANNOTATIONS, _holds_xml)
    lists = path / _LISTS
    parts = {part: lists / f'{part}.txt' for part in ('train', 'val', 'test') if (lists / f'{part}.txt').is_file()}
    if 'train' not in parts and (lists / 'trainval.txt').is_file():
        parts['train'] = lists / 'trainval.txt'
    if parts and folder is not None:
        return {part: lambda names=names: _read(names, folder, images, names) for part, names in parts.items()}
    return parts_by_folder(path, folder, _holds_xml, _stems, partial(_read, images=images))


def _holds_xml(folder: Path) -> bool:
    return holds(folder, _ANNOTATIONS, _SUFFIX)


def _stems(folder: Path) -> dict[str, Path]:
    return files_by_stem(folder, _SUFFIX)


def _read(
    source: Path, folder: Path, images: str | None, listed: Path | None = None, part: str | None = None
) -> Labels:
    """Read the XML files below ``folder``: those that ``listed`` names, those of a part, or all.

    Raises:
        UserError: Naming file and line of what is wrong.
    """
    found = files_by_stem(folder, _SUFFIX)
    chosen = [name for name in sorted(found, key=natural_key) if part in (None, part_of(name))]
    names = chosen if listed is None else _names_of(listed, folder, found)
    paths = {name: found[name] for name in names}
    mistakes = Mistakes(source)
    roots = {name: mistakes.kept(_root, path) for name, path in paths.items()}
    things = {
        name: [mistakes.kept(_thing, each, paths[name]) for each in root.iterfind('object')]
        for name, root in roots.items()
        if root is not None
    }
    sizes = {name: mistakes.kept(_size, root, paths[name]) for name, root in roots.items() if root is not None}
    mistakes.refuse()
    files = images_of(folder, found, images, '<filename>')
    place = {name: files.of(name, _told(root), paths[name]) for name, root in roots.items()}
    refuse_twice(paths, place)
    apart = [*(path for name, path in found.items() if name not in paths), *_beside(folder)]
    shift = int(_count_from_one(things.values()) and all(map(_counts_from_one, apart)))
    built, measured = Builder(sorted({kind for each in things.values() for kind, _, _ in each})), 0
    others = [name for name, root in roots.items() if files.names_another(name, _told(root))]
    for name, image in place.items():
        size = sizes[name]
        measured += size is None
        built.add_image(image, *(size or image_size(os.path.join(files.folder, image))))
        for kind, (x1, y1, x2, y2), difficult in things[name]:
            built.add_box(kind, (x1 - shift, y1 - shift, x2 - x1 + shift, y2 - y1 + shift), iscrowd=int(difficult))
    left = len(files.names) - len(found) if listed is None else 0
    notes = (*_notes(built, measured, shift, left), *files.note([paths[name] for name in others], 'XML file'))
    return Labels(built.coco(), files.folder, 'VOC', str(source), notes=notes)


def _notes(built: Builder, measured: int, shift: int, left: int) -> tuple[str, ...]:
    """What is worth a word."""
    hard = sum(thing['iscrowd'] for thing in built.annotations)
    notes = {
        f'{several(hard, "object")} marked as difficult: left out of training and of the evaluation': hard,
        f'{several(measured, "XML file")} without a size: it was taken from the image': measured,
        'coordinates count from 0, as some are 0 or no whole numbers; those of VOC would from 1': not shift,
        f'{several(left, "image")} without an XML file: left out': left > 0,
    }
    return tuple(note for note, holds in notes.items() if holds)


def _names_of(listed: Path, folder: Path, found: dict[str, Path]) -> list[str]:
    """The names in a list, all of them keys of ``found``."""
    names = list(dict.fromkeys(_name_of(line, found) for _, line in names_in(listed)))
    absent = [name for name in names if name not in found]
    if absent or not names:
        told = f'of which {len(absent)} have no XML file in {folder}, such as {absent[0]}' if absent else 'none'
        raise UserError(
            f'{listed} names {several(len(names), "image")}, {told}: correct the list, or name another one.'
        )
    return names


def _name_of(line: str, found: dict[str, Path]) -> str:
    """The name in a line: as it stands, or without what the lists of some tools have around it.

    That is blanks, the flag of the lists of one class, and the suffix of an image or of its XML file.
    """
    bare = line.strip()
    unflagged = re.sub(r'\s+(-1|0|1)$', '', bare)
    stem = _without_suffix(unflagged)
    tried = [posixpath.normpath(name) for name in (line, bare, unflagged, stem)]
    return next((name for name in tried if name in found), tried[2])


def _without_suffix(name: str) -> str:
    stem, suffix = posixpath.splitext(name)
    return stem if suffix.lower() in (*EXTENSIONS, _SUFFIX) else name


def _root(path: Path):
    root = parse_xml(path)
    if root.tag != 'annotation':
        raise UserError(
            f'{path}, line {line_of(root)}: <{root.tag}> is not the <annotation> of VOC: export as VOC, COCO or YOLO.'
        )
    return root


def _told(root) -> str:
    """The image that an XML file names."""
    return (root.findtext('filename') or '').strip()


def _size(root, path: Path) -> tuple[int, int] | None:
    """Width and height; None if it has none, or zeros as some tools write."""
    size = root.find('size')
    if size is None or size.find('width') is None or size.find('height') is None:
        return None
    where = f'{path}, line {line_of(size)}'
    width, height = (int(number_of(size.findtext(name), where, f'<{name}>')) for name in ('width', 'height'))
    if width < 0 or height < 0:
        raise UserError(f'{where}: the size is {width} x {height}: correct it.')
    return (width, height) if width and height else None


def _thing(thing, path: Path) -> tuple[str, list[float], bool]:
    """Class, (xmin, ymin, xmax, ymax), and whether it is difficult."""
    where, box = f'{path}, line {line_of(thing)}', thing.find('bndbox')
    name = (thing.findtext('name') or '').strip()
    if not name or box is None:
        raise UserError(f'{where}: an <object> has no {"<bndbox>" if name else "<name>"}: correct the label.')
    x1, y1, x2, y2 = corners = [number_of(box.findtext(side), where, f'<{side}>') for side in _CORNERS]
    if x2 < x1 or y2 < y1:
        raise UserError(f'{where}: the box ({x1:g}, {y1:g}, {x2:g}, {y2:g}) ends before it begins: correct the label.')
    return name, corners, number_of(thing.findtext('difficult') or '0', where, '<difficult>') == 1


def _count_from_one(files: Iterable[Sequence[tuple]]) -> bool:
    """Whether coordinates are those of VOC, whole numbers from 1 on, or pixels from 0 on as some tools write them."""
    numbers = (number for things in files for _, corners, _ in things for number in corners)
    return all(number >= 1 and number == int(number) for number in numbers)


def _counts_from_one(path: Path) -> bool:
    """The same of a file of another part, which counts alike; whether it is right is told where that is read."""
    try:
        return _count_from_one([[_thing(each, path) for each in _root(path).iterfind('object')]])
    except UserError:
        return True


def _beside(folder: Path) -> Iterator[Path]:
    """The XML files of the other parts, if the folder is called like one."""
    if folder.name.lower() in PARTS:
        for place in called(folder.parent, *PARTS):
            if place != folder and _holds_xml(place):
                yield from find_files(place, _SUFFIX, deep=True)
