"""Labels in the text files of YOLO, as Ultralytics' data.yaml names them; Roboflow's and Label Studio's exports too.

Those of CVAT have Darknet's obj.data instead, those of labelImg only a list of classes.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from sssd.datasets.darknet import ABOVE, data_file_of, read_data
from sssd.datasets.forms import PARTS, AbsentError, Labels, Readers, names_in
from sssd.datasets.yolo_labels import Part, has_label, label_folders, read_part
from sssd.datasets.yolo_yaml import SUFFIXES, names_of, read_yaml, root_of, yaml_of
from sssd.errors import UserError
from sssd.listing import list_folder, near_file

#: The folders that exports of CVAT put images into, YOLO 1.1 and Ultralytics'.
_EXPORTED = re.compile(r'^(obj_\w+_data|images/(train|val|valid|validation|test)|images)/', re.IGNORECASE)

#: Of an absolute path of Windows.
_DRIVE = re.compile(r'[A-Za-z]:/')


def find_yolo(path: Path, images: str | None) -> Readers:
    """The parts of a YOLO data set; none if ``path`` is no such.

    Args:
        path: Its YAML file or its ``obj.data``, or a folder with one.
        images: The folder of the images that a list names, if the user named it, as for CVAT's exports without images.

    Raises:
        UserError: If the file is broken, or a folder that it names is not there. The readers raise it of what is wrong
            in the data, and if ``images`` is given beside folders, which say themselves where the images are.
    """
    is_yaml = path.is_file() and path.suffix.lower() in SUFFIXES
    told = path if is_yaml else (path.is_dir() and yaml_of(path)) or data_file_of(path)
    if told is None:
        return {}
    return _of_yaml(told, images) if told.suffix.lower() in SUFFIXES else _of_data(told, images)


def _of_yaml(path: Path, images: str | None) -> Readers:
    content = read_yaml(path)
    names = names_of(path, content)
    root, keypoints, keys = root_of(path, content), 'kpt_shape' in content, _keys_of(content)
    if not keys:
        raise UserError(f'{path} names no images: give it a train: and a val: with their folders.')
    return {
        part: lambda key=key: _read(path, _places(path, root, key, content[key]), names, key, images, keypoints)
        for part, key in keys.items()
    }


def _of_data(path: Path, images: str | None) -> Readers:
    """As :func:`_of_yaml`, of an ``obj.data``."""
    content, names, root = *read_data(path), path.parent
    return {
        part: lambda key=key: _read(path, _places(path, root, key, content[key], ABOVE), names, key, images)
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
    source: Path, places: Sequence[Path], names: list[str], key: str, images: str | None = None, keypoints: bool = False
) -> Labels:
    """Read all images of some folders or lists, with their labels; ``images`` is as in :func:`find_yolo`."""
    folder = next((place for place in places if place.is_dir()), None)
    if images is not None and folder is not None:
        raise UserError(f'{source} says itself where its images are, {folder}: leave out the folder {images}.')
    found: dict[str, str] = {}
    for image, said in (pair for place in places for pair in _images_of(place, images)):
        if found.setdefault(image, said) != said:
            raise UserError(
                f'{source} has labels of {found[image]} and of {said}, but both would be {image}: rename one.'
            )
    return read_part(Part(source, found, names, places, label_folders, keypoints, key))


def _images_of(place: Path, images: str | None) -> Iterator[tuple[str, str]]:
    """The images of a folder, or those that a text file names, and the paths by which their labels are found."""
    if place.is_dir():
        yield from ((path, path) for path in map(os.path.abspath, list_folder(str(place))))
        return
    moved: dict[str, str] = {}
    for number, line in names_in(place):
        names = list(dict.fromkeys((line, line.strip(), line.strip().replace('\\', '/'))))  # the last of Windows
        if images is None:
            image = said = _listed(place.parent, names) or _moved((place.parent, place.parent.parent), names[-1])
        else:
            image, said = _apart(place.parent, names[-1], Path(images))
        if image is None:
            raise _absent(place, number, line.strip(), images)
        image, said = os.path.abspath(image), os.path.abspath(said)
        if _is_absolute(names[-1]) and moved.setdefault(image, names[-1]) != names[-1]:
            raise UserError(
                f'{place} names {moved[image]} and {names[-1]}, but both would be {image}: bring the folders that tell '
                'them apart, or correct the list.'
            )
        yield image, said


def _absent(place: Path, number: int, name: str, images: str | None) -> UserError:
    """What is said of an image that a list names and that is not there."""
    near = near_file(str(place.parent / name.replace('\\', '/'))) if images is None else None
    where = ('there' if images is None else f'in {images}') + (f', but {near} is' if near else '')
    return UserError(
        f'{place}, line {number}: the image {name} is not {where}: name the folder of the images, put '
        'them beside their labels (CVAT: Save images), or correct the list.'
    )


def _listed(here: Path, names: list[str]) -> Path | None:
    """The image of a name, which is relative to the list or to the present folder; exports have Darknet's before it."""
    tried = [path for name in names for path in (here / name, here / name.removeprefix(ABOVE), Path(name))]
    return next((path for path in tried if os.path.isfile(path)), None)


def _is_absolute(name: str) -> bool:
    return name.startswith('/') or bool(_DRIVE.match(name))


def _moved(places: Sequence[Path], name: str) -> Path | None:
    """The image of an absolute name of another machine: as much of its end as there is in one of some folders."""
    return next((place / end for end in _ends(name) for place in places if os.path.isfile(place / end)), None)


def _ends(name: str) -> list[str]:
    """The ends of an absolute path, the longest first."""
    parts = name.split('/')
    return ['/'.join(parts[start:]) for start in range(1, len(parts))] if _is_absolute(name) else []


def _apart(here: Path, name: str, images: Path) -> tuple[Path | None, Path]:
    """The image of a name in another folder, and where it would be in the export, by which its label is found.

    All of its own folders count but those that exports make: CVAT's ``data/obj_train_data`` and ``images/train``.
    """
    plain = os.path.normpath(name)
    own = _EXPORTED.sub('', plain.removeprefix(ABOVE))
    tried = (images / way for way in (plain, plain.removeprefix(ABOVE), own))
    image = next((path for path in tried if path.is_file()), None) or _moved([images], name)
    said = [*(here / end for end in _ends(name)), here / plain, here / plain.removeprefix(ABOVE)]
    return image, next((path for path in said if has_label(path)), said[-1])
