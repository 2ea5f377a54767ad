"""What the readers of label formats share: what they give, and how a mistake in a file is told."""

import math
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sssd.datasets.coco_form import shown
from sssd.errors import UserError, refuse_all

#: The names of the parts of a data set, and how exports call them.
PARTS = {
    'train': 'train',
    'training': 'train',
    'val': 'val',
    'valid': 'val',
    'validation': 'val',
    'test': 'test',
    'testing': 'test',
}
#: The one part of what is not divided.
WHOLE = 'all'
#: The key of ``info`` under which a file that is written here says where its images are.
IMAGES = 'images'


@dataclass(frozen=True)
class Labels:
    """Labelled images, whatever form they came in.

    Attributes:
        coco: ``images``, ``annotations`` and ``categories`` as in a COCO file; ``file_name`` is relative to ``images``.
        images: The folder of the images.
        form: ``'COCO'``, ``'VOC'``, ``'YOLO'``, ``'LabelMe'`` or ``'CSV'``.
        source: What was read, as the user would name it.
        file: The COCO file that has just this content; None if it has to be written first.
        notes: What the user should know: a sentence each.
    """

    coco: dict
    images: str
    form: str
    source: str
    file: str | None = None
    notes: tuple[str, ...] = ()


class AbsentError(UserError):
    """A folder of a part of a data set is not there; exports name parts that they do not have."""


class RepeatedError(UserError):
    """A mistake in a label that others will have as well, as when a tool wrote all of them alike.

    Args:
        sentence: What is wrong.
        kind: What equal mistakes have in common; :class:`Mistakes` tells the first one, and how many there are.
    """

    def __init__(self, sentence: str, kind: str) -> None:
        super().__init__(sentence)
        self.kind = kind


#: The parts of a data set, each with a function that reads it.
Readers = dict[str, Callable[[], Labels]]


@dataclass
class Builder:
    """Puts a COCO dict together; ids count from 1.

    Attributes:
        categories: Names of the classes, in their order; a name that is not there is added.
    """

    categories: list[str] = field(default_factory=list)
    images: list[dict] = field(default_factory=list)
    annotations: list[dict] = field(default_factory=list)

    def add_image(self, name: str, width: int, height: int) -> None:
        """The image that the next boxes belong to."""
        self.images.append(dict(id=len(self.images) + 1, file_name=name, width=width, height=height))

    def add_box(self, category: str, box: tuple[float, float, float, float], **more) -> None:
        """A box x, y, width, height in pixels."""
        if category not in self.categories:
            self.categories.append(category)
        x, y, width, height = (round(side, 3) for side in box)
        self.annotations.append(
            dict(
                id=len(self.annotations) + 1,
                image_id=self.images[-1]['id'],
                category_id=self.categories.index(category) + 1,
                bbox=[x, y, width, height],
                area=round(width * height, 3),
                **{'iscrowd': 0, **more},
            )
        )

    def coco(self) -> dict:
        """The content of a COCO file."""
        categories = [dict(id=number, name=name) for number, name in enumerate(self.categories, 1)]
        return dict(images=self.images, annotations=self.annotations, categories=categories)


class Mistakes:
    """Gathers mistakes, so that all are told at once, and those of one kind as one.

    Args:
        what: What has them, for the sentence.
    """

    def __init__(self, what: str | Path) -> None:
        self.what, self.counts, self._firsts = what, Counter(), {}

    def kept(self, read: Callable, *args):
        """What ``read`` gives; None, with the mistake kept, where it raises a :class:`UserError`."""
        try:
            return read(*args)
        except UserError as error:
            sentence = str(error)
            first = self._firsts.setdefault(error.kind, sentence) if isinstance(error, RepeatedError) else sentence
            self.counts[first] += 1
            return None

    def refuse(self) -> None:
        """Tell all that were made.

        Raises:
            UserError: If there is one.
        """
        told = [
            f'{sentence.removesuffix(".")} ({count} such mistakes).' if count > 1 else sentence
            for sentence, count in self.counts.items()
        ]
        refuse_all(str(self.what), told)


def saying_where(coco: dict, images: str, path: str | Path) -> dict:
    """A COCO dict that says in its ``info`` where its images are, seen from the folder of the file ``path``."""
    info = coco.get('info') if isinstance(coco.get('info'), dict) else {}
    place = os.path.relpath(os.path.realpath(images), os.path.realpath(os.path.dirname(path) or '.'))
    return dict(coco, info=dict(info, **{IMAGES: Path(place).as_posix()}))


def read_text(path: Path) -> str:
    """Text of a file in UTF-8, with or without a byte-order mark.

    Raises:
        UserError: If there is no such file, or it is no text.
    """
    if not path.is_file():
        raise UserError(f'{path} does not exist, or is no file: check the path.')
    try:
        return path.read_text('utf-8-sig')
    except UnicodeDecodeError as error:
        raise UserError(
            f'{path} is no text in UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8.'
        ) from error
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error.strerror}): check its permissions.') from error


def names_in(path: Path) -> list[tuple[int, str]]:
    """The lines of a list of names that are not blank, with their numbers.

    A name may begin or end with blanks and hold any character but a line feed, so nothing is taken off it.

    Raises:
        UserError: If there is no such file, or it is no text.
    """
    return [(number, line) for number, line in enumerate(read_text(path).split('\n'), 1) if line.strip()]


def find_files(folder: Path, suffix: str, deep: bool = True) -> Iterator[Path]:
    """The files of a folder by their suffix, whatever its case, and those of its sub-folders.

    Links are followed, and a folder that several ways lead to counts once; hidden folders are passed over.

    Args:
        folder: The folder; of one that is not there nothing comes.
        suffix: Such as ``'.xml'``.
        deep: Whether to look into sub-folders.

    Raises:
        UserError: Naming a folder that may not be read.
    """
    seen = set()
    for place, inner, names in os.walk(folder, onerror=_unreadable, followlinks=True) if folder.is_dir() else ():
        real = os.path.realpath(place)
        inner[:] = sorted(name for name in inner if deep and real not in seen and not name.startswith('.'))
        if real not in seen:
            yield from (Path(place, name) for name in sorted(names) if name.lower().endswith(suffix))
        seen.add(real)


def called(folder: Path, *names: str) -> list[Path]:
    """The sub-folders of a folder that are called so, in the order of the names; spelt so first, then in capitals."""
    try:
        inner = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    except OSError:
        return []
    found = (each for name in names for each in (name, *inner) if each in inner and each.lower() == name.lower())
    return [folder / each for each in dict.fromkeys(found)]


def _unreadable(error: OSError) -> None:
    raise UserError(f'{error.filename} cannot be read ({error.strerror}): check its permissions.') from error


def files_by_stem(folder: Path, suffix: str, deep: bool = True) -> dict[str, Path]:
    """The files that :func:`find_files` gives, by their paths from the folder without the suffix, with ``/``.

    Raises:
        UserError: Naming two that differ in the case of the suffix alone, or a folder that may not be read.
    """
    found: dict[str, Path] = {}
    for path in find_files(folder, suffix, deep):
        stem = path.relative_to(folder).as_posix()[: -len(suffix)]
        if stem in found:
            raise UserError(f'{found[stem]} and {path} would be labels of the same image: take one of them out.')
        found[stem] = path
    return found


def number_of(text: str | None, where: str, what: str) -> float:
    """A finite number.

    Args:
        text: Its text.
        where: File and line, for the sentence.
        what: What it is, for the sentence.

    Raises:
        RepeatedError: If it is none.
    """
    try:
        value = float(text)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise RepeatedError(f'{where}: {what} is {shown(text)!r}, but has to be a number: correct the label.', what)
    return value


def near(folder: str) -> str:
    """An absolute path as seen from the present folder, if it is below that."""
    seen = os.path.relpath(folder)
    return folder if seen.startswith('..') else seen


def several(count: int, what: str) -> str:
    """``1 image``, ``2 images``."""
    return f'{count} {what}' + 's' * (count != 1)
