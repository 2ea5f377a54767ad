"""Labels in the text files of YOLO, as Ultralytics' data.yaml names them; Roboflow's and Label Studio's exports too.

Those of CVAT have Darknet's obj.data instead.
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import yaml

from sssd.datasets.darknet import ABOVE, data_file_of, read_data
from sssd.datasets.forms import (
    PARTS,
    WHOLE,
    AbsentError,
    Builder,
    Labels,
    Mistakes,
    Readers,
    RepeatedError,
    called,
    files_by_stem,
    names_in,
    near,
    number_of,
    read_text,
    several,
)
from sssd.errors import UserError
from sssd.images import size_and_turn
from sssd.listing import list_folder

SUFFIXES = ('.yaml', '.yml')
#: Bytes; the names of ten thousand classes take 0.2 MB.
MAX_BYTES = 2_000_000
#: How far beyond the image Ultralytics takes a coordinate.
TOLERANCE = 0.01
MAX_DEPTH = 20
_CLASSES = 'classes.txt'
_HAS_NAMES = re.compile(r'^["\']?names["\']?\s*:', re.MULTILINE)


def find_yolo(path: Path, images: str | None) -> Readers:
    """The parts of a YOLO data set; none if ``path`` is no such.

    Args:
        path: Its YAML file or its ``obj.data``, or a folder with one, or with ``images/``, ``labels/`` and
            ``classes.txt``.
        images: Must be None: the data set says where its images are.

    Raises:
        UserError: If the file is broken, a folder that it names is not there, or ``images`` is given.
    """
    if path.is_file():
        readers = _of_yaml(path) if path.suffix.lower() in SUFFIXES else _of_data(data_file_of(path))
    else:
        readers = _of_folder(path) or _of_data(data_file_of(path))
    if readers and images is not None:
        raise UserError(f'{path} says itself where its images are: leave out the folder {images}.')
    return readers


def _of_folder(path: Path) -> Readers:
    files = [file for file in sorted(path.iterdir()) if file.suffix.lower() in SUFFIXES and file.is_file()]
    named = [file for file in files if file.stem.lower() in ('data', 'dataset')]
    named = named or [
        file for file in files if _HAS_NAMES.search(file.read_bytes()[:MAX_BYTES].decode(errors='replace'))
    ]
    if len(named) > 1:
        told = ', '.join(file.name for file in named[:4])
        raise UserError(f'{path} has several YAML files ({told}): name the one of the data set.')
    if named:
        return _of_yaml(named[0])
    images = called(path, 'images')[:1]
    if not (path / _CLASSES).is_file() or not images:
        return {}
    names = [line.strip() for line in read_text(path / _CLASSES).splitlines() if line.strip()]
    return {WHOLE: lambda: _read(path, images, names, False)}


def _of_yaml(path: Path) -> Readers:
    content = read_yaml(path)
    names = _names_of(path, content)
    root, keypoints, keys = _root_of(path, content), 'kpt_shape' in content, _keys_of(content)
    if not keys:
        raise UserError(f'{path} names no images: give it a train: and a val: with their folders.')
    return {
        part: lambda key=key: _read(path, _places(path, root, key, content[key]), names, keypoints, key)
        for part, key in keys.items()
    }


def _of_data(path: Path | None) -> Readers:
    """As :func:`_of_yaml`, of an ``obj.data``; nothing without one."""
    if path is None:
        return {}
    content, names, root = *read_data(path), path.parent
    return {
        part: lambda key=key: _read(path, _places(path, root, key, content[key], ABOVE), names, False, key, ABOVE)
        for part, key in _keys_of(content).items()
    }


def _keys_of(content: dict) -> dict[str, str]:
    """The keys by which a file names its parts."""
    return {PARTS[key]: key for key in reversed(list(PARTS)) if content.get(key)}


def read_yaml(path: Path) -> dict:
    """The content of a YAML file, all of it as text, lists and dicts.

    Raises:
        UserError: Naming file and line, if it is no YAML, has no keys, is too large or refers to its own parts.
    """
    if path.is_file() and path.stat().st_size > MAX_BYTES:
        raise UserError(f'{path} is larger than any list of classes ({MAX_BYTES // 1_000_000} MB): check the path.')
    text = read_text(path)
    try:
        _refuse_bombs(path, text)
        content = yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, 'problem_mark', None)
        line = f', line {mark.line + 1}' if mark is not None else ''
        problem = getattr(error, 'problem', None) or 'it has control characters'
        raise UserError(f'{path}{line}: it is no YAML ({problem}): correct it.') from error
    if not isinstance(content, dict):
        raise UserError(f'{path} {"is empty" if not text.strip() else "has no keys"}: give it train:, val: and names:.')
    return content


def _refuse_bombs(path: Path, text: str) -> None:
    """Refuse references, a few of which can stand for billions of entries, and endless nesting."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.BaseLoader):
        where = f'{path}, line {event.start_mark.line + 1}'
        if isinstance(event, yaml.AliasEvent):
            raise UserError(f'{where}: *{event.anchor} refers to another part: write it out.')
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise UserError(f'{where}: its parts are nested too deep for a data set: correct it.')


def _names_of(path: Path, content: dict) -> list[str]:
    """Names of the classes in the order of their numbers."""
    names = content.get('names')
    if isinstance(names, dict):
        try:
            numbered = {int(number): name for number, name in names.items()}
        except ValueError:
            raise UserError(
                f'{path}: a key of names: is no number: write 0: to {len(names) - 1}:, or a list.'
            ) from None
        if sorted(numbered) != list(range(len(names))):
            raise UserError(
                f'{path}: names: has the numbers {sorted(numbered)[:6]}..., but must have 0, 1, 2 and so on.'
            )
        names = [numbered[number] for number in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise UserError(f'{path} has no names: of the classes, or one of them is no text: give a list of them.')
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UserError(f'{path} has several classes called {twice[0]!r}: give each a name of its own.')
    if content.get('nc', str(len(names))) != str(len(names)):
        raise UserError(f'{path} says nc: {content["nc"]}, but has {len(names)} names: correct one of them.')
    return names


def _root_of(path: Path, content: dict) -> Path:
    """The folder that the others are relative to: ``path:``, from the file's own folder or the present one.

    Exports often name a folder of the machine that they were made on; if it is not here, the file's own is taken.
    """
    here, told = path.parent, content.get('path')
    if not isinstance(told, str) or not told:
        return here
    return next((place for place in (here / told, Path(told)) if os.path.isdir(place)), here)


def _places(path: Path, root: Path, key: str, told: str | list, above: str = '../') -> list[Path]:
    """The folders, or text files with names of images, of one part.

    Roboflow names ``../train/images`` what is ``train/images`` beside the file; Ultralytics bears that, and so do we.
    ``above`` is what may be too much so.
    """
    found = []
    for name in [told] if isinstance(told, str) else told:
        if not isinstance(name, str):
            raise UserError(f'{path}: {key}: has an entry that is no path: give folders or text files.')
        ways = dict.fromkeys((name, name.replace('\\', '/')))  # the second one is what Windows means
        tried = list(dict.fromkeys(root / way for each in ways for way in (each, each.removeprefix(above))))
        place = next((place for place in tried if os.path.exists(place)), None)
        if place is None:
            raise AbsentError(
                f'{path}: {key}: names {name[:200]}, but there is no '
                f'{" and no ".join(str(place)[:200] for place in tried)}: correct the path.'
            )
        found.append(place)
    return found


def _read(
    source: Path, places: Sequence[Path], names: list[str], keypoints: bool, key: str = '', above: str = ''
) -> Labels:
    """Read all images of some folders or lists, with their labels; ``above`` is as in :func:`_images_of`.

    Raises:
        UserError: Naming file and line of what is wrong.
    """
    paths = list(dict.fromkeys(os.path.abspath(image) for place in places for image in _images_of(place, above)))
    if not paths:
        raise UserError(f'{source}: there is no image in {", ".join(map(str, places))}: check the path.')
    root = os.path.commonpath([os.path.dirname(path) for path in paths])
    built, missing, twice, outlines = Builder(list(names)), 0, 0, 0
    used: Counter[Path] = Counter()
    turned: list[str] = []
    mistakes, texts, folders = Mistakes(source), cache(_texts), cache(_label_folders)
    for path in paths:
        (width, height), moved = mistakes.kept(size_and_turn, path) or ((0, 0), False)
        built.add_image(Path(os.path.relpath(path, root)).as_posix(), width, height)
        file = _label_of(path, folders, texts)
        if file is None:
            missing += 1
            continue
        used[file] += 1
        rows = mistakes.kept(_rows, file, len(names), keypoints, mistakes) or []
        turned += [path] * bool(moved and rows)
        twice += len(rows) - len(set(rows))
        for number, (x1, y1, x2, y2), is_outline in dict.fromkeys(rows):
            outlines += is_outline
            built.add_box(names[number], (x1 * width, y1 * height, (x2 - x1) * width, (y2 - y1) * height))
    mistakes.refuse()
    if missing == len(paths):
        raise UserError(
            f'{source}: none of the {several(missing, "image")} of {root} has a label file; {label_path(paths[0])} was '
            'looked for, for one: put the labels there.'
        )
    orphans = sorted(
        path for folder in {file.parent for file in used} for path in texts(folder).values() if path not in used
    )
    counts = dict(missing=missing, twice=twice, outlines=outlines)
    shared = [file for file, count in used.items() if count > 1]
    told = _notes(orphans if all(place.is_dir() for place in places) else [], shared, turned, **counts)
    name = f'{source} ({key})' if key else str(source)
    return Labels(built.coco(), near(root), 'YOLO', name, notes=told)


def _notes(
    orphans: Sequence[Path], shared: Sequence[Path], turned: Sequence[str], missing: int, twice: int, outlines: int
) -> tuple[str, ...]:
    """What is worth a word."""
    notes = {
        f'{several(len(orphans), "label file")} of no image, such as {orphans[0] if orphans else ""}: '
        'see whether images are missing or called otherwise': orphans,
        f'{several(len(shared), "label file")} of several images, such as {shared[0] if shared else ""}: all of them '
        'got its boxes': shared,
        f'{several(len(turned), "labelled image")} with an EXIF tag to turn or mirror by, such as '
        f'{turned[0] if turned else ""}: labels are taken for shares of the picture as viewers show it; if they were '
        'drawn on the stored one, take the tag out': turned,
        f'{several(missing, "image")} without a label file: taken for images without objects': missing,
        f'{several(twice, "box")[: -1 if twice > 1 else None]}{"es" * (twice > 1)} written twice: taken once': twice,
        f'{several(outlines, "outline")} taken by the boxes around them': outlines,
    }
    return tuple(note for note, holds in notes.items() if holds)


def _texts(folder: Path) -> dict[str, Path]:
    """The label files of a folder by their names without suffix, which may be ``.TXT`` too."""
    found = files_by_stem(folder, '.txt', deep=False)
    return {_composed(stem): path for stem, path in found.items() if path.name != _CLASSES}


def _composed(name: str) -> str:
    """A name with its accents as parts of the letters; macOS has them after the letters, and so have its archives."""
    return unicodedata.normalize('NFC', name)


def _label_of(
    image: str, folders: Callable[[Path], Sequence[Path]], texts: Callable[[Path], dict[str, Path]]
) -> Path | None:
    """The label file of an image; None if it has none."""
    path = Path(image)
    found = (texts(folder).get(_composed(path.stem)) for folder in folders(path.parent))
    return next((file for file in found if file is not None), None)


def _label_folders(folder: Path) -> list[Path]:
    """Where labels of the images of a folder may be: in its folder of labels, in capitals or not, or beside them."""
    parts, found = folder.parts, [label_path(str(folder / 'image')).parent]
    for place in reversed(range(len(parts))):
        if parts[place].lower() == 'images':
            found += [labels.joinpath(*parts[place + 1 :]) for labels in called(Path(*parts[:place]), 'labels')]
    return [*found, folder]


def _images_of(place: Path, above: str = '') -> Iterator[str]:
    """The images of a folder, or those that a text file names, relative to it or to the present folder.

    ``above`` is what the names may begin with in an export of Darknet's form.
    """
    if place.is_dir():
        yield from list_folder(str(place))
        return
    for number, line in names_in(place):
        names = dict.fromkeys((line, line.strip(), line.strip().replace('\\', '/')))  # the last of Windows
        here = place.parent
        tried = [path for name in names for path in (here / name, here / name.removeprefix(above), Path(name))]
        found = next((path for path in tried if os.path.isfile(path)), None)
        if found is None:
            export = 'export again with the images (CVAT: Save images), put it beside its labels, or ' if above else ''
            raise UserError(f'{place}, line {number}: the image {line.strip()} is not there: {export}correct the list.')
        yield str(found)


def label_path(image: str) -> Path:
    """Where the labels of an image are: the last folder ``images`` of its path turned into ``labels``."""
    parts = list(Path(image).parts)
    places = [index for index, part in enumerate(parts[:-1]) if part == 'images']
    if places:
        parts[places[-1]] = 'labels'
    return Path(*parts).with_suffix('.txt')


def _rows(path: Path, classes: int, keypoints: bool, mistakes: Mistakes) -> list[tuple[int, tuple, bool]]:
    """Class, corners from 0 to 1, and whether it was an outline, of each line of a label file without a mistake."""
    lines = ((number, line.split()) for number, line in enumerate(read_text(path).splitlines(), 1))
    rows = (
        mistakes.kept(_row, f'{path}, line {number}', words, classes, keypoints) for number, words in lines if words
    )
    return [row for row in rows if row is not None]


def _row(where: str, words: list[str], classes: int, keypoints: bool) -> tuple[int, tuple, bool]:
    if len(words) < 5 or (len(words) != 5 and not keypoints and (len(words) == 6 or len(words) % 2 == 0)):
        hint = '; a sixth may be the score of a prediction' if len(words) == 6 else ''
        raise RepeatedError(
            f'{where}: it has {several(len(words), "number")}, but a label is a class and x, y, width, height, or '
            f'a class and the corners of an outline{hint}: correct the label.',
            several(len(words), 'number'),
        )
    kind, *values = (number_of(word, where, 'a value') for word in words)
    if kind != int(kind) or not 0 <= kind < classes:
        raise RepeatedError(
            f'{where}: the class is {words[0]}, but the data set has 0 to {classes - 1}: correct one.', 'class'
        )
    is_outline = len(values) != 4 and not keypoints
    used = values if is_outline else values[:4]
    if min(used) < -TOLERANCE or max(used) > 1 + TOLERANCE:
        raise RepeatedError(
            f'{where}: {max(used, key=lambda value: abs(value - 0.5)):g} is not from 0 to 1: coordinates are '
            'shares of the width and height of the image, so correct the label.',
            'range',
        )
    if is_outline:
        corners = (min(used[::2]), min(used[1::2]), max(used[::2]), max(used[1::2]))
    else:
        x, y, width, height = used
        corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return int(kind), corners, is_outline
