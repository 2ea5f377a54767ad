"""What a published data set consists of, part by part, and what of it lies on the disk.

A part is a folder of images, a COCO annotation file or a VOC image set. Each has a ``path`` below the data set's root
and says by ``look`` what is there: names and numbers, no pixel is decoded.
"""

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from sssd.datasets.json_io import read_coco
from sssd.datasets.xml_safe import parse_xml
from sssd.errors import UserError
from sssd.images import EXTENSIONS


@dataclass(frozen=True)
class Finding:
    """What was found of a part.

    Attributes:
        found: What is there, in words; empty if nothing is.
        problem: What is wrong with it, None if nothing is.
    """

    found: str = ''
    problem: str | None = None


@dataclass(frozen=True)
class Part(ABC):
    """A part of a published data set.

    Attributes:
        path: Where it belongs, below the root.
        images: How many images it has as published.
        source: The archive that it comes in.
        rows: What of the paper needs it; empty if everything does.
        made: The files that `prepare` makes it from; empty if it is published as it is.
    """

    path: str
    images: int
    source: str
    rows: str = ''
    made: str = ''

    @property
    def expected(self) -> str:
        """What it has as published, in words."""
        return f'{self.images} images'

    def look(self, root: str | Path, exact: bool = True) -> Finding:
        """Look for this part below ``root``.

        Args:
            root: The data set's folder.
            exact: Whether other numbers than the published ones are a problem.
        """
        path = Path(root) / self.path
        if not path.exists():
            return Finding(problem='missing')
        try:
            finding = self._look(Path(root), path)
        except UserError as error:
            return Finding(problem=str(error))
        if finding.problem is None and exact and finding.found != self.expected:
            return Finding(finding.found, 'not as published')
        return finding

    @abstractmethod
    def _look(self, root: Path, path: Path) -> Finding:
        """What is there, for a path that exists."""


@dataclass(frozen=True)
class ImagesPart(Part):
    """A folder of images."""

    def _look(self, root: Path, path: Path) -> Finding:
        sizes = image_sizes(path)
        empty = [name for name, size in sizes.items() if size == 0]
        return Finding(f'{len(sizes)} images', _some(empty, 'are empty'))


@dataclass(frozen=True)
class CocoPart(Part):
    """A COCO annotation file over the images of a folder.

    Attributes:
        folder: The folder of its images, below the root.
        boxes: How many annotations it has as published, None if that is not known.
    """

    folder: str = ''
    boxes: int | None = None

    @property
    def expected(self) -> str:
        return super().expected + (f', {self.boxes} boxes' if self.boxes is not None else '')

    def _look(self, root: Path, path: Path) -> Finding:
        coco = read_coco(path)
        found = f'{len(coco["images"])} images'
        if self.boxes is not None:
            found += f', {len(coco["annotations"])} boxes'
        folder = root / self.folder
        there = image_sizes(folder) if folder.is_dir() else {}
        absent = [image['file_name'] for image in coco['images'] if image['file_name'] not in there]
        return Finding(found, _some(absent, f'are not in {self.folder}/'))


@dataclass(frozen=True)
class VocPart(Part):
    """An image set of VOC, such as ``VOC2007/ImageSets/Main/test.txt``, with the images and labels that it names.

    Attributes:
        boxes: How many objects its XML files have as published; None: no labels are needed.
        difficult: How many of them are marked as difficult.
    """

    boxes: int | None = None
    difficult: int = 0

    @property
    def expected(self) -> str:
        if self.boxes is None:
            return super().expected
        return f'{super().expected}, {self.boxes} boxes, {self.difficult} of them difficult'

    def _look(self, root: Path, path: Path) -> Finding:
        year = root / Path(self.path).parts[0]
        try:
            names = path.read_text('utf-8').split()
        except (OSError, UnicodeDecodeError):
            return Finding('unreadable', 'it is no text file of image names; take it from the archive again')
        found, there = f'{len(names)} images', image_sizes(year / 'JPEGImages')
        absent = [f'{year.name}/JPEGImages/{name}.jpg' for name in names if f'{name}.jpg' not in there]
        if self.boxes is not None:
            labels = (f'{year.name}/Annotations/{name}.xml' for name in names)
            absent += [path for path in labels if not (root / path).is_file()]
        if self.boxes is None or absent:
            return Finding(found, _some(absent, 'are missing'))
        flags = [flag for name in names for _, flag in read_objects(year / 'Annotations' / f'{name}.xml')]
        return Finding(f'{found}, {len(flags)} boxes, {sum(flags)} of them difficult')


def image_sizes(folder: Path) -> dict:
    """Bytes of every image of a folder by its name; sub-folders are left out."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        return {entry.name: entry.stat().st_size for entry in entries if entry.name.lower().endswith(EXTENSIONS)}


def read_objects(path: str | Path) -> list:
    """The objects of a VOC annotation file: (class name, whether it is difficult) of each.

    Raises:
        UserError: If the file is no XML, or an object has no name.
    """
    try:
        things = parse_xml(path).findall('object')
        return [(thing.find('name').text, int(thing.findtext('difficult') or 0) == 1) for thing in things]
    except (AttributeError, ValueError) as error:
        raise UserError(f'{path} is no VOC annotation file ({error}); take it from the archive again.') from error


def _some(names: list, what: str) -> str | None:
    """A sentence on names, None without any."""
    return f'{len(names)} files {what}, such as {names[0]}' if names else None
