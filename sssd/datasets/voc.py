"""Labels in the XML files of Pascal VOC, in its own layout or with the XML files beside the images.

A box of VOC names its first and its last pixel, counted from 1, so it begins at ``xmin - 1`` and ends at ``xmax``; the
XMLDataset of mmdet ends it one pixel earlier.
"""

import os
import re
from pathlib import Path

from sssd.datasets.forms import PARTS, WHOLE, Builder, Labels, Mistakes, Readers, number_of, read_text, several
from sssd.datasets.xml_safe import line_of, parse_xml
from sssd.errors import UserError
from sssd.images import EXTENSIONS, image_size, natural_key

_IMAGES = ('JPEGImages', 'images', 'Images', 'imgs', 'img')
_ANNOTATIONS = ('Annotations', 'annotations', 'xml', 'xmls')
_LISTS = Path('ImageSets', 'Main')
_CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')


def find_voc(path: Path, images: str | None) -> Readers:
    """The parts of a VOC data set; none if ``path`` is no such.

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
        inner = {PARTS[name]: path / name for name in PARTS if _holds_xml(path / name)}
        return {part: lambda place=place: _read(place, place, images) for part, place in inner.items()}
    lists = path / _LISTS
    parts = {part: lists / f'{part}.txt' for part in ('train', 'val', 'test') if (lists / f'{part}.txt').is_file()}
    if 'train' not in parts and (lists / 'trainval.txt').is_file():
        parts['train'] = lists / 'trainval.txt'
    if not parts:
        return {WHOLE: lambda: _read(path, folder, images)}
    return {part: lambda names=names: _read(names, folder, images, names) for part, names in parts.items()}


def _annotations(path: Path) -> Path | None:
    """The folder of the XML files of ``path``: one that is called so, or itself."""
    places = (*(path / name for name in _ANNOTATIONS), path)
    return next((place for place in places if _holds_xml(place)), None)


def _holds_xml(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return any(entry.name.lower().endswith('.xml') and entry.is_file() for entry in entries)


def _read(source: Path, folder: Path, images: str | None, listed: Path | None = None) -> Labels:
    """Read the XML files of ``folder``, those that ``listed`` names or all.

    Raises:
        UserError: Naming file and line of what is wrong.
    """
    found = {os.path.splitext(name)[0]: folder / name for name in os.listdir(folder) if name.lower().endswith('.xml')}
    names = sorted(found, key=natural_key) if listed is None else _names_of(listed, folder)
    paths = {name: found.get(name, folder / f'{name}.xml') for name in names}
    mistakes = Mistakes(source)
    roots = {name: mistakes.kept(_root, path) for name, path in paths.items()}
    things = {
        name: [mistakes.kept(_thing, each, paths[name]) for each in root.iterfind('object')]
        for name, root in roots.items()
        if root is not None
    }
    sizes = {name: mistakes.kept(_size, root, paths[name]) for name, root in roots.items() if root is not None}
    mistakes.refuse()
    place = _images_of(folder, images)
    files = _Images(place)
    shift = int(_counts_from_one(things))
    built, measured = Builder(sorted({kind for each in things.values() for kind, _, _ in each})), 0
    others = [name for name, root in roots.items() if files.names_another(name, root)]
    for name, root in roots.items():
        image, size = files.of(name, root, paths[name]), sizes[name]
        measured += size is None
        built.add_image(image, *(size or image_size(os.path.join(place, image))))
        for kind, (x1, y1, x2, y2), difficult in things[name]:
            built.add_box(kind, (x1 - shift, y1 - shift, x2 - x1 + shift, y2 - y1 + shift), iscrowd=int(difficult))
    left = len(files) - len(roots) if listed is None else 0
    notes = _notes(built, measured, shift, left)
    if others:
        told = f'{several(len(others), "XML file")} whose <filename> is another image that is there, such as'
        notes += (
            f'{told} {paths[others[0]]}: each was taken for the image of its own name, so see whether it is that',
        )
    return Labels(built.coco(), place, 'VOC', str(source), notes=notes)


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


def _names_of(listed: Path, folder: Path) -> list[str]:
    """The names in a list; in those of one class a flag follows, which is 1, 0 or -1."""
    names = [line.strip() for line in read_text(listed).splitlines()]
    names = [name if os.path.isfile(folder / f'{name}.xml') else re.sub(r'\s+(-1|0|1)$', '', name) for name in names]
    names = list(dict.fromkeys(filter(None, names)))
    absent = [name for name in names if not os.path.isfile(folder / f'{name}.xml')]
    if absent or not names:
        told = f'of which {len(absent)} have no XML file in {folder}, such as {absent[0]}' if absent else 'none'
        raise UserError(
            f'{listed} names {several(len(names), "image")}, {told}: correct the list, or name another one.'
        )
    return names


def _root(path: Path):
    root = parse_xml(path)
    if root.tag != 'annotation':
        raise UserError(
            f'{path}, line {line_of(root)}: <{root.tag}> is not the <annotation> of VOC: export as VOC, COCO or YOLO.'
        )
    return root


def _images_of(folder: Path, images: str | None) -> str:
    """The folder of the images: as given, else by its name beside the XML files, else theirs."""
    if images is not None:
        return images
    named = [place / name for place in (folder.parent, folder) for name in _IMAGES]
    return str(next((place for place in named if place.is_dir()), folder))


class _Images:
    """The images of a folder by the names of their XML files."""

    def __init__(self, folder: str) -> None:
        self.folder, self.names = folder, {}
        try:
            names = sorted(os.listdir(folder))
        except OSError as error:
            raise UserError(f'image folder {folder} cannot be read ({error.strerror}): check the path.') from error
        for name in names:
            if name.lower().endswith(EXTENSIONS) and not name.startswith('.'):
                self.names.setdefault(os.path.splitext(name)[0], []).append(name)

    def __len__(self) -> int:
        return len(self.names)

    def names_another(self, name: str, root) -> bool:
        """Whether an XML file's <filename> is another image of the folder than the one of the XML file's name."""
        told, own = os.path.basename((root.findtext('filename') or '').strip()), self.names.get(name, [])
        return bool(own) and told not in own and told in self.names.get(os.path.splitext(told)[0], ())

    def of(self, name: str, root, path: Path) -> str:
        """The image of an XML file: of the same name, as mmdet has it, else what its <filename> says."""
        told = (root.findtext('filename') or '').strip()
        own = self.names.get(name, [])
        if own:
            return told if told in own else own[0]
        for wanted in (told, os.path.basename(told)):
            for file in (wanted, *(f'{name}{ending}' for name in (name, wanted) for ending in EXTENSIONS)):
                if wanted and os.path.isfile(os.path.join(self.folder, file)):
                    return file
        raise UserError(
            f'{path}: its image is not in {self.folder}, neither {os.path.basename(name)}.jpg or the like nor the '
            f'{told!r} of its <filename>: put it there, or name its folder (--labeled-images, --val-images).'
        )


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
