"""The ``obj.data`` of Darknet, by which CVAT exports "YOLO 1.1": it names a file of classes, and lists of images.

Paths begin with ``data/``, the folder of Darknet that an export is meant for; newer exports leave that out.
"""

import os
import re
from pathlib import Path

from sssd.datasets.forms import PARTS, names_in, read_text
from sssd.errors import UserError

#: What paths may begin with that is not in the export.
ABOVE = 'data/'
_SUFFIX, _NAME = '.data', 'obj.data'
#: The parts that have lists, which CVAT may leave out of the file.
_LISTS = ('train', 'valid', 'test')
_HAS_NAMES = re.compile(rb'^\s*names\s*=', re.MULTILINE)
_HEAD = 4096


def data_file_of(path: Path) -> Path | None:
    """The ``obj.data`` that a path is, or that a folder has; None if there is none.

    Raises:
        UserError: If a folder has several and none is called so.
    """
    if path.is_file():
        return path if path.suffix.lower() == _SUFFIX else None
    files = [file for file in sorted(path.iterdir()) if file.suffix.lower() == _SUFFIX and file.is_file()]
    found = [file for file in files if file.name.lower() == _NAME] or [file for file in files if _has_names(file)]
    if len(found) > 1:
        told = ', '.join(file.name for file in found[:4])
        raise UserError(f'{path} has several {_SUFFIX} files ({told}): name the one of the data set.')
    return found[0] if found else None


def _has_names(path: Path) -> bool:
    """Whether a file names a list of classes; other programs have files of this suffix too."""
    with path.open('rb') as file:
        return _HAS_NAMES.search(file.read(_HEAD)) is not None


def read_data(path: Path) -> tuple[dict[str, str], list[str]]:
    """The lists of images in an ``obj.data`` by the keys that name their parts, and the names of the classes.

    Raises:
        UserError: Naming file and line of what is wrong.
    """
    content = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        key, equals, value = (word.strip() for word in line.partition('='))
        if not line.strip() or line.lstrip().startswith(('#', ';')):
            continue
        if not equals or not key or not value:
            raise UserError(f'{path}, line {number}: {line.strip()[:40]!r} is no key = value: correct it.')
        content[key] = value
    names = _names_of(path, content)
    lists = {key: f'{key}.txt' for key in _LISTS if (path.parent / f'{key}.txt').is_file()}
    if not (lists | content).keys() & PARTS.keys():
        raise UserError(f'{path} names no images: give it a train = and a valid = with their lists of images.')
    return lists | content, names


def _names_of(path: Path, content: dict[str, str]) -> list[str]:
    """The names of the classes, from the file that an ``obj.data`` names."""
    told = content.get('names')
    if told is None:
        raise UserError(f'{path} names no list of classes: give it names = and their file, such as obj.names.')
    ways = (told.replace('\\', '/'), told.replace('\\', '/').removeprefix(ABOVE))
    tried = list(dict.fromkeys(path.parent / way for way in ways))
    file = next((place for place in tried if os.path.isfile(place)), None)
    if file is None:
        raise UserError(
            f'{path}: names = {told[:200]}, but there is no {" and no ".join(str(place)[:200] for place in tried)}: '
            'correct the path.'
        )
    names = class_names(file)
    if content.get('classes', str(len(names))) != str(len(names)):
        raise UserError(
            f'{path} says classes = {content["classes"]}, but {file} has {len(names)} names: correct one of them.'
        )
    return names


def class_names(file: Path) -> list[str]:
    """The names of the classes in a list of them, one a line.

    Raises:
        UserError: If it has none, a name twice, or an empty line among them, whose number would be that of a class.
    """
    lines = [(number, line.strip()) for number, line in names_in(file)]
    names = [name for _, name in lines]
    blank = next((place for place, (number, _) in enumerate(lines, 1) if number != place), None)
    twice = [name for name in names if names.count(name) > 1]
    if not names:
        raise UserError(f'{file} has no names of classes: write one a line.')
    if blank is not None:
        raise UserError(f'{file}, line {blank}: it is empty, but its number stands for a class: give it the name.')
    if twice:
        raise UserError(f'{file} has several classes called {twice[0]!r}: give each a name of its own.')
    return names
