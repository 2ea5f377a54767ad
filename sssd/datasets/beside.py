"""What forms with a label file an image share, VOC and LabelMe: where these files are, their parts and their images."""

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from sssd.datasets.forms import PARTS, WHOLE, Labels, Readers, RepeatedError, called, find_files, several
from sssd.errors import UserError
from sssd.images import EXTENSIONS
from sssd.listing import list_folder

_IMAGES = ('JPEGImages', 'images', 'imgs', 'img')


def holds(folder: Path, names: Sequence[str], suffix: str, is_label: Callable[[Path], bool] = Path.is_file) -> bool:
    """Whether a folder has label files; one that is called by one of ``names``, or a folder in it."""
    deep = folder in called(folder.parent, *names)
    return any(is_label(path) for path in find_files(folder, suffix, deep))


def folder_of(path: Path, names: Sequence[str], holds_labels: Callable[[Path], bool]) -> Path | None:
    """The folder of the label files of ``path``: one that is called by one of ``names``, or itself."""
    return next((place for place in (*called(path, *names), path) if holds_labels(place)), None)


def parts_by_folder(
    path: Path,
    folder: Path | None,
    holds_labels: Callable[[Path], bool],
    stems: Callable[[Path], Iterable[str]],
    read: Callable[..., Labels],
) -> Readers:
    """The parts of a data set by its sub-folders that are called like parts.

    Args:
        path: The data set.
        folder: The folder of its label files; None if only sub-folders of ``path`` can have some.
        holds_labels: Whether a folder has label files.
        stems: The label files of a folder, as paths from it with ``/``, without suffix.
        read: Reads a part, given the data set, the folder, and ``part`` if there are several.
    """
    if folder is None:
        inner = {PARTS[place.name.lower()]: place for place in called(path, *PARTS) if holds_labels(place)}
        return {part: lambda place=place: read(place, place) for part, place in inner.items()}
    told = sorted({part_of(name) for name in stems(folder)})
    if told == ['train']:
        return {WHOLE: lambda: read(path, folder)}
    return {part: lambda part=part: read(path, folder, part=part) for part in told}


def part_of(name: str) -> str:
    """The part that a label file belongs to: that which the sub-folder it lies in is called like, else ``train``."""
    place, slash, _ = name.partition('/')
    return PARTS.get(place.lower(), 'train') if slash else 'train'


def refuse_twice(paths: Mapping[str, Path], places: Mapping[str, str]) -> None:
    """Refuse two label files of one image, by the image of each.

    Raises:
        UserError: Naming both.
    """
    first: dict[str, str] = {}
    for name, place in places.items():
        if first.setdefault(place, name) != name:
            pair = ' and '.join(sorted(str(paths[each]) for each in (first[place], name)))
            raise UserError(f'{pair} would be labels of the same image: take one of them out.')


def images_of(folder: Path, stems: Collection[str], images: str | None, key: str) -> 'Images':
    """The images: those of the folder that is given, else of that with most images of the label files' names.

    Of equal ones the label files' own folder comes first, then what is called like a folder of images beside or in it.

    Args:
        folder: The folder of the label files.
        stems: Their paths from it, without suffix.
        images: The folder of the images, if the user named it.
        key: What names the image in a label file, for sentences.
    """
    if images is not None:
        return Images(images, key)
    named = [*called(folder.parent, *_IMAGES), *called(folder, *_IMAGES)]
    tried = [Images(str(place), key) for place in (folder, *named)]
    best = max(tried, key=lambda each: sum(stem in each.names for stem in stems))
    return best if best.names.keys() & set(stems) or not named else tried[1]


class Images:
    """The images of a folder and its sub-folders by the names of their label files, which lie in the same sub-folders.

    Args:
        folder: The folder.
        key: What names the image in a label file, for sentences.
    """

    def __init__(self, folder: str, key: str) -> None:
        self.folder, self.key, self.names = folder, key, {}
        for name in list_folder(folder).names():
            self.names.setdefault(os.path.splitext(name)[0], []).append(name)

    def names_another(self, name: str, told: str) -> bool:
        """Whether ``told`` is another image beside the one of the label file's name."""
        own, there = self.names.get(name, []), _beside(name, told)
        return bool(own) and there not in own and there in self.names.get(os.path.splitext(there)[0], ())

    def note(self, paths: Sequence[Path], what: str) -> tuple[str, ...]:
        """The sentence on label files that name another image; none without any."""
        if not paths:
            return ()
        told = f'{several(len(paths), what)} whose {self.key} is another image that is there, such as {paths[0]}'
        return (f'{told}: each was taken for the image of its own name, so see whether it is that',)

    def own(self, name: str, told: str) -> str | None:
        """The image of a label file's own name; of several that which it tells."""
        own, there = self.names.get(name, []), _beside(name, told)
        return there if there in own else own[0] if own else None

    def of(self, name: str, told: str, path: Path) -> str:
        """The image of a label file: of the same name, as mmdet has it, else what it tells.

        Raises:
            RepeatedError: If there is none.
        """
        own = self.own(name, told)
        if own is not None:
            return own
        stem = os.path.basename(name)
        for wanted in filter(None, (told, _beside(name, told), os.path.basename(told), stem)):
            for file in (wanted, *(f'{wanted}{ending}' for ending in EXTENSIONS)):
                if os.path.isfile(os.path.join(self.folder, file)):
                    return file
        raise RepeatedError(
            f'{path}: its image is not in {self.folder}, neither {stem}.jpg or the like nor the '
            f'{told!r} of its {self.key}: put it there, or name its folder (--images).',
            'image',
        )


def _beside(name: str, told: str) -> str:
    """The image that a label file names, in the sub-folder of that file."""
    return os.path.join(os.path.dirname(name), os.path.basename(told))
