"""Labels in the JSON files of LabelMe, one an image, beside the images or in a folder of their own.

Coordinates are pixels counted from 0 at the corner of the first one, of the picture as EXIF turns it. Boxes are those
around the shapes; outlines of polygons are kept as masks.
"""

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sssd.datasets.beside import Images, folder_of, holds, images_of, part_of, parts_by_folder, refuse_twice
from sssd.datasets.forms import (
    Builder,
    Labels,
    Mistakes,
    Readers,
    RepeatedError,
    files_by_stem,
    near,
    number_of,
    several,
)
from sssd.datasets.json_io import parse_json, read_bytes
from sssd.datasets.labelme_shapes import Thing, joined, thing_of
from sssd.errors import UserError
from sssd.images import image_size, natural_key

_FOLDERS = ('annotations', 'labels', 'ann', 'json', 'jsons', 'labelme')
_SUFFIX = '.json'
_HEAD = 4096
#: Keys that only a file of LabelMe begins with, in the order of LabelMe or of the alphabet, and those of COCO's files.
_OURS = re.compile(rb'"(shapes|imagePath|imageData)"\s*:')
_COCO = re.compile(rb'"(images|annotations|categories)"\s*:')
_REMEDY = 'label the image again, or take the file out'


def beginning(path: Path) -> bytes:
    """The first bytes of a file; none of what may not be read."""
    try:
        with path.open('rb') as file:
            return file.read(_HEAD)
    except OSError:
        return b''


def is_labelme(path: Path) -> bool:
    """Whether a JSON file is one image's of LabelMe, by its beginning."""
    head = beginning(path) if path.is_file() else b''
    return _OURS.search(head) is not None and _COCO.search(head) is None


def find_labelme(path: Path, images: str | None) -> Readers:
    """The parts of a data set of LabelMe, by its sub-folders; none if ``path`` is no such.

    Args:
        path: Its folder, or the one with its JSON files.
        images: The folder of the images, if the user named it.

    Raises:
        UserError: If it is the file of one image.
    """
    if path.is_file():
        if path.suffix.lower() == _SUFFIX and is_labelme(path):
            raise UserError(f'{path} has the labels of one image (LabelMe): name its folder, {path.parent}.')
        return {}
    folder = folder_of(path, _FOLDERS, _holds_files)
    return parts_by_folder(path, folder, _holds_files, _stems, partial(_read, images=images))


def _holds_files(folder: Path) -> bool:
    return holds(folder, _FOLDERS, _SUFFIX, is_labelme)


def _stems(folder: Path) -> list[str]:
    return [name for name, path in files_by_stem(folder, _SUFFIX).items() if is_labelme(path)]


@dataclass(frozen=True)
class _Page:
    """What the file of one image holds.

    Attributes:
        told: Its imagePath, with ``/``.
        size: Width and height; None if they are not there.
        things: Its objects, None for a shape that has a mistake.
    """

    told: str
    size: tuple[int, int] | None
    things: Sequence[Thing | None]


def _read(source: Path, folder: Path, images: str | None, part: str | None = None) -> Labels:
    """Read the files below ``folder``, those of a part or all.

    A broken one may have lost what tells it from other JSON files, so all that lie by an image of their name count.

    Raises:
        UserError: Naming file and shape of what is wrong.
    """
    found = files_by_stem(folder, _SUFFIX)
    files = images_of(folder, found, images, 'imagePath')
    ours = [name for name in sorted(found, key=natural_key) if name in files.names or is_labelme(found[name])]
    paths = {name: found[name] for name in ours if part in (None, part_of(name))}
    mistakes = Mistakes(source)
    pages = {name: mistakes.kept(_page, path, mistakes) for name, path in paths.items()}
    pages = {name: page for name, page in pages.items() if page is not None}
    places = {
        name: mistakes.kept(_image_of, files, name, page.told, paths[name], images) for name, page in pages.items()
    }
    there = {name: place for name, place in places.items() if place is not None}
    sizes = {name: pages[name].size or mistakes.kept(image_size, place) for name, place in there.items()}
    mistakes.kept(refuse_twice, paths, there)
    mistakes.refuse()
    root = _root_of(list(places.values()), files.folder)
    things = {name: joined(page.things) for name, page in pages.items()}
    built = Builder(sorted({thing.label for each in things.values() for thing in each}))
    for name, place in places.items():
        built.add_image(Path(os.path.relpath(place, root)).as_posix(), *sizes[name])
        for thing in things[name]:
            masks = dict(segmentation=list(thing.outlines)) if thing.outlines else {}
            built.add_box(thing.label, thing.box(*sizes[name]), **masks)
    others = [paths[name] for name, page in pages.items() if files.names_another(name, page.told)]
    strangers = [found[name] for name in sorted(found.keys() - set(ours))]
    left = _left(files, ours, places.values())
    notes = (*_notes(pages, things, left, strangers), *files.note(others, 'JSON file'))
    return Labels(built.coco(), near(root), 'LabelMe', str(source), notes=notes)


def _page(path: Path, mistakes: Mistakes) -> _Page:
    """What a file holds; a shape with a mistake is told by ``mistakes``.

    Raises:
        UserError: If it is none of LabelMe.
    """
    content = parse_json(path, read_bytes(path), _REMEDY)
    shapes = content.get('shapes') if isinstance(content, dict) else None
    if not isinstance(shapes, list):
        raise RepeatedError(f"{path}: it lacks the list 'shapes' of LabelMe: {_REMEDY}.", 'shapes')
    told = content.get('imagePath')
    told = told.strip() if isinstance(told, str) else ''
    if not os.path.isfile(path.parent / told):
        told = told.replace('\\', '/')
    things = [
        mistakes.kept(thing_of, f"{path}, entry {number} of 'shapes'", shape) for number, shape in enumerate(shapes)
    ]
    return _Page(told, _size(content, path), things)


def _size(content: dict, path: Path) -> tuple[int, int] | None:
    """Width and height; None if they are not there, or zero."""
    told = {key: content.get(key) for key in ('imageWidth', 'imageHeight')}
    width, height = (int(number_of(value or 0, str(path), key)) for key, value in told.items())
    if width < 0 or height < 0:
        raise UserError(f'{path}: the size is {width} x {height}: correct it.')
    return (width, height) if width and height else None


def _image_of(files: Images, name: str, told: str, path: Path, images: str | None) -> str:
    """The image of a file: of its own name, or where its imagePath leads from the file, or as VOC's are found.

    Raises:
        UserError: If there is none.
    """
    place = path.parent / told
    if images is None and told and files.own(name, told) is None and os.path.isfile(place):
        return os.path.abspath(place)
    return os.path.abspath(os.path.join(files.folder, files.of(name, told, path)))


def _root_of(places: Sequence[str], folder: str) -> str:
    """The folder of the images: that which they were looked for in, or where others are, one that has all."""
    root = os.path.abspath(folder)
    inside = all(os.path.commonpath([root, place]) == root for place in places)
    return root if inside else os.path.commonpath([os.path.dirname(place) for place in places])


def _left(files: Images, ours: Sequence[str], places: Sequence[str]) -> int:
    """How many images of the folder no file is of; of each name one counts."""
    used = {os.path.splitext(os.path.relpath(place, files.folder))[0] for place in places}
    return len(files.names.keys() - used - set(ours))


def _notes(pages: dict, things: dict, left: int, strangers: Sequence[Path]) -> tuple[str, ...]:
    """What is worth a word."""
    shapes = [thing for page in pages.values() for thing in page.things]
    bare = Counter(thing.kind for thing in shapes if thing.corners is None)
    grouped = len(shapes) - bare.total() - sum(map(len, things.values()))
    measured = sum(page.size is None for page in pages.values())
    notes = {
        f'{several(bare.total(), "shape")} without an area ({", ".join(sorted(bare))}): left out': bare,
        f'{several(grouped, "shape")} with the label and group_id of another one: taken as one object with it': grouped,
        f'{several(measured, "JSON file")} without a size: it was taken from the image': measured,
        f'{several(left, "image")} without a JSON file: left out': left,
        f'{several(len(strangers), "JSON file")} without labels of LabelMe, such as '
        f'{strangers[0] if strangers else ""}: left out': strangers,
    }
    return tuple(note for note, is_so in notes.items() if is_so)
