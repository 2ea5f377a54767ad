"""Labels in the XML files of Pascal VOC, in its own layout or with the XML files beside the images.

A box of VOC names its first and its last pixel, counted from 1, so it begins at ``xmin - 1`` and ends at ``xmax``; the
XMLDataset of mmdet ends it one pixel earlier.
"""

import os
import posixpath
import re
from collections.abc import Collection
from pathlib import Path

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
from sssd.listing import list_folder

_IMAGES = ('JPEGImages', 'images', 'imgs', 'img')
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
            return {WHOLE: lambda: _read(path, _annotations(root) or root, images, path)}
        return {}
    folder = _annotations(path)
    if folder is None:
        inner = {PARTS[place.name.lower()]: place for place in called(path, *PARTS) if _holds_xml(place)}
        return {part: lambda place=place: _read(place, place, images) for part, place in inner.items()}
    lists = path / _LISTS
    parts = {part: lists / f'{part}.txt' for part in ('train', 'val', 'test') if (lists / f'{part}.txt').is_file()}
    if 'train' not in parts and (lists / 'trainval.txt').is_file():
        parts['train'] = lists / 'trainval.txt'
    if parts:
        return {part: lambda names=names: _read(names, folder, images, names) for part, names in parts.items()}
    told = sorted({_part_of(name) for name in files_by_stem(folder, _SUFFIX)})
    if told == ['train']:
        return {WHOLE: lambda: _read(path, folder, images)}
    return {part: lambda part=part: _read(path, folder, images, part=part) for part in told}


def _part_of(name: str) -> str:
    """The part that an XML file belongs to: that which the sub-folder it lies in is called like, else ``train``."""
    place, slash, _ = name.partition('/')
    return PARTS.get(place.lower(), 'train') if slash else 'train'


def _annotations(path: Path) -> Path | None:
    """The folder of the XML files of ``path``: one that is called so, or itself."""
    places = (*called(path, *_ANNOTATIONS), path)
    return next((place for place in places if _holds_xml(place)), None)


def _holds_xml(folder: Path) -> bool:
    """Whether a folder has XML files; one that is called like a folder of them, or a folder in it."""
    deep = folder in called(folder.parent, *_ANNOTATIONS)
    return any(path.is_file() for path in find_files(folder, _SUFFIX, deep))


def _read(
    source: Path, folder: Path, images: str | None, listed: Path | None = None, part: str | None = None
) -> Labels:
    """Read the XML files below ``folder``: those that ``listed`` names, those of a part, or all.

    Raises:
        UserError: Naming file and line of what is wrong.
    """
    found = files_by_stem(folder, _SUFFIX)
    chosen = [name for name in sorted(found, key=natural_key) if part in (None, _part_of(name))]
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
    files = _images_of(folder, found, images)
    shift = int(_counts_from_one(things))
    built, measured = Builder(sorted({kind for each in things.values() for kind, _, _ in each})), 0
    others = [name for name, root in roots.items() if files.names_another(name, root)]
    for name, root in roots.items():
        image, size = files.of(name, root, paths[name]), sizes[name]
        measured += size is None
        built.add_image(image, *(size or image_size(os.path.join(files.folder, image))))
        for kind, (x1, y1, x2, y2), difficult in things[name]:
            built.add_box(kind, (x1 - shift, y1 - shift, x2 - x1 + shift, y2 - y1 + shift), iscrowd=int(difficult))
    left = len(files.names) - len(found) if listed is None else 0
    notes = _notes(built, measured, shift, left)
    if others:
        told = f'{several(len(others), "XML file")} whose <filename> is another image that is there, such as'
        notes += (
            f'{told} {paths[others[0]]}: each was taken for the image of its own name, so see whether it is that',
        )
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
    """The name in a line: as it stands, without blanks around it, or without the flag of the lists of one class."""
    bare = line.strip()
    tried = [posixpath.normpath(name) for name in (line, bare, re.sub(r'\s+(-1|0|1)$', '', bare))]
    return next((name for name in tried if name in found), tried[-1])


def _root(path: Path):
    root = parse_xml(path)
    if root.tag != 'annotation':
        raise UserError(
            f'{path}, line {line_of(root)}: <{root.tag}> is not the <annotation> of VOC: export as VOC, COCO or YOLO.'
        )
    return root


def _images_of(folder: Path, stems: Collection[str], images: str | None) -> '_Images':
    """The images: those of the folder that is given, else of that with most images of the XML files' names.

    Of equal ones the XML files' own folder comes first, then what is called like a folder of images beside or in it.
    """
    if images is not None:
        return _Images(images)
    named = [*called(folder.parent, *_IMAGES), *called(folder, *_IMAGES)]
    tried = [_Images(str(place)) for place in (folder, *named)]
    best = max(tried, key=lambda each: sum(stem in each.names for stem in stems))
    return best if best.names.keys() & set(stems) or not named else tried[1]


class _Images:
    """The images of a folder and its sub-folders by the names of their XML files, which lie in the same sub-folders."""

    def __init__(self, folder: str) -> None:
        self.folder, self.names = folder, {}
        for name in list_folder(folder).names():
            self.names.setdefault(os.path.splitext(name)[0], []).append(name)

    def names_another(self, name: str, root) -> bool:
        """Whether an XML file's <filename> is another image beside the one of the XML file's name."""
        own, told = self.names.get(name, []), _told_beside(name, root)
        return bool(own) and told not in own and told in self.names.get(os.path.splitext(told)[0], ())

    def of(self, name: str, root, path: Path) -> str:
        """The image of an XML file: of the same name, as mmdet has it, else what its <filename> says."""
        own, beside = self.names.get(name, []), _told_beside(name, root)
        if own:
            return beside if beside in own else own[0]
        told = (root.findtext('filename') or '').strip()
        stem = os.path.basename(name)
        for wanted in filter(None, (told, beside, os.path.basename(told), stem)):
            for file in (wanted, *(f'{wanted}{ending}' for ending in EXTENSIONS)):
                if os.path.isfile(os.path.join(self.folder, file)):
                    return file
        raise UserError(
            f'{path}: its image is not in {self.folder}, neither {stem}.jpg or the like nor the '
            f'{told!r} of its <filename>: put it there, or name its folder (--images).'
        )


def _told_beside(name: str, root) -> str:
    """The image that an XML file's <filename> names, in the sub-folder of the XML file."""
    told = os.path.basename((root.findtext('filename') or '').strip())
    return os.path.join(os.path.dirname(name), told)


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


def _counts_from_one(things: dict) -> bool:
    """Whether coordinates are those of VOC, whole numbers from 1 on, or pixels from 0 on as some tools write them."""
    numbers = [number for each in things.values() for _, corners, _ in each for number in corners]
    return all(number >= 1 and number == int(number) for number in numbers)
