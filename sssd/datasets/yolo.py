"""Labels in the text files of YOLO, as Ultralytics' data.yaml names them; Roboflow's and Label Studio's exports too.

Those of CVAT have Darknet's obj.data instead, those of labelImg only a list of classes.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from sssd.datasets.darknet import ABOVE, data_file_of, read_data
from sssd.datasets.forms import PARTS, AbsentError, Labels, Readers, names_in
from sssd.datasets.yolo_folder import find_folder
from sssd.datasets.yolo_labels import Part, label_folders, read_part
from sssd.datasets.yolo_yaml import SUFFIXES, names_of, read_yaml, root_of, yaml_of
from sssd.errors import UserError
from sssd.listing import list_folder


def find_yolo(path: Path, images: str | None) -> Readers:
    """The parts of a YOLO data set; none if ``path`` is no such.

    Args:
        path: Its YAML file or its ``obj.data``, or a folder with one, or with label files and ``classes.txt``.
        images: The folder of the images of label files with ``classes.txt``, if the user named it; the others say it
            themselves.

    Raises:
        UserError: If the file is broken, a folder that it names is not there, or ``images`` is given to what says it.
    """
    is_yaml = path.is_file() and path.suffix.lower() in SUFFIXES
    told = path if is_yaml else (path.is_dir() and yaml_of(path)) or data_file_of(path)
    if told is None:
        return {} if path.is_file() else find_folder(path, images)
    readers = _of_yaml(told) if told.suffix.lower() in SUFFIXES else _of_data(told)
    if images is not None:
        raise UserError(f'{path} says itself where its images are: leave out the folder {images}.')
    return readers


def _of_yaml(path: Path) -> Readers:
    content = read_yaml(path)
    names = names_of(path, content)
    root, keypoints, keys = root_of(path, content), 'kpt_shape' in content, _keys_of(content)
    if not keys:
        raise UserError(f'{path} names no images: give it a train: and a val: with their folders.')
    return {
        part: lambda key=key: _read(path, _places(path, root, key, content[key]), names, key, keypoints=keypoints)
        for part, key in keys.items()
    }


def _of_data(path: Path) -> Readers:
    """As :func:`_of_yaml`, of an ``obj.data``."""
    content, names, root = *read_data(path), path.parent
    return {
        part: lambda key=key: _read(path, _places(path, root, key, content[key], ABOVE), names, key, ABOVE)
        for part, key in _keys_of(content).items()
    }


def _keys_of(content: dict) -> dict[str, str]:
    """The keys by which a file names its parts."""
    return {PARTS[key]: key for key in reversed(list(PARTS)) if content.get(key)}


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
    source: Path, places: Sequence[Path], names: list[str], key: str, above: str = '', keypoints: bool = False
) -> Labels:
    """Read all images of some folders or lists, with their labels; ``above`` is as in :func:`_images_of`."""
    images = dict.fromkeys(os.path.abspath(image) for place in places for image in _images_of(place, above))
    return read_part(Part(source, list(images), names, places, label_folders, keypoints, key))


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
