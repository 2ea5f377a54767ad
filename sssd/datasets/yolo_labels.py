"""Reading the images of a YOLO data set and their label files."""

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sssd.datasets.forms import Builder, Labels, Mistakes, called, files_by_stem, near, several
from sssd.datasets.yolo_lines import rows_of
from sssd.errors import UserError
from sssd.images import size_and_turn

#: The list of classes that lies among label files.
CLASSES = 'classes.txt'


@dataclass(frozen=True)
class Part:
    """What one part of a data set is read from.

    Attributes:
        source: The file or folder that names it.
        images: The paths of its images, each with the one by which its label is found: in exports without images that
            where the image would be.
        names: Names of the classes, in the order of their numbers.
        places: The folders or lists that the images are from.
        labels: The folders in which the labels of the images of a folder may be, the usual one first.
        keypoints: Whether label files have keypoints after the boxes.
        key: By what the file names the part; empty if it is the whole.
        backgrounds: Whether an image without a label file has no objects, as in Ultralytics; else nobody labelled it.
    """

    source: Path
    images: Mapping[str, str]
    names: Sequence[str]
    places: Sequence[Path]
    labels: Callable[[Path], Sequence[Path]]
    keypoints: bool = False
    key: str = ''
    backgrounds: bool = True


def read_part(part: Part) -> Labels:
    """Read the images of a part and their labels.

    Raises:
        UserError: Naming file and line of what is wrong.
    """
    if not part.images:
        raise UserError(f'{part.source}: there is no image in {", ".join(map(str, part.places))}: check the path.')
    root = os.path.commonpath([os.path.dirname(path) for path in part.images])
    built, missing, twice, outlines = Builder(list(part.names)), 0, 0, 0
    used: Counter[Path] = Counter()
    turned: list[str] = []
    mistakes, texts, folders = Mistakes(part.source), cache(texts_of), cache(part.labels)
    for path, said in part.images.items():
        file = label_of(said, folders, texts)
        missing += file is None
        if file is None and not part.backgrounds:
            continue
        (width, height), moved = mistakes.kept(size_and_turn, path) or ((0, 0), False)
        built.add_image(Path(os.path.relpath(path, root)).as_posix(), width, height)
        if file is None:
            continue
        used[file] += 1
        rows = mistakes.kept(rows_of, file, len(part.names), part.keypoints, mistakes) or []
        turned += [path] * bool(moved and rows)
        twice += len(rows) - len(set(rows))
        for number, (x1, y1, x2, y2), is_outline in dict.fromkeys(rows):
            outlines += is_outline
            built.add_box(part.names[number], (x1 * width, y1 * height, (x2 - x1) * width, (y2 - y1) * height))
    mistakes.refuse()
    if missing == len(part.images):
        first = Path(next(iter(part.images.values())))
        wanted = (part.labels(first.parent)[0] / first.name).with_suffix('.txt')
        raise UserError(
            f'{part.source}: none of the {several(missing, "image")} of {root} has a label file; {wanted} was looked '
            'for, for one: put the labels there.'
        )
    orphans = sorted(
        path for folder in {file.parent for file in used} for path in texts(folder).values() if path not in used
    )
    counts = {'empty' if part.backgrounds else 'left': missing, 'twice': twice, 'outlines': outlines}
    shared = [file for file, count in used.items() if count > 1]
    told = _notes(orphans if all(place.is_dir() for place in part.places) else [], shared, turned, **counts)
    name = f'{part.source} ({part.key})' if part.key else str(part.source)
    return Labels(built.coco(), near(root), 'YOLO', name, notes=told)


def _notes(
    orphans: Sequence[Path],
    shared: Sequence[Path],
    turned: Sequence[str],
    twice: int,
    outlines: int,
    empty: int = 0,
    left: int = 0,
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
        f'{several(empty, "image")} without a label file: taken for images without objects': empty,
        f'{several(left, "image")} without a label file: left out': left,
        f'{several(twice, "box")[: -1 if twice > 1 else None]}{"es" * (twice > 1)} written twice: taken once': twice,
        f'{several(outlines, "outline")} taken by the boxes around them': outlines,
    }
    return tuple(note for note, holds in notes.items() if holds)


def texts_of(folder: Path) -> dict[str, Path]:
    """The label files of a folder by their names without suffix, which may be ``.TXT`` too."""
    found = files_by_stem(folder, '.txt', deep=False)
    return {_composed(stem): path for stem, path in found.items() if path.name != CLASSES}


def _composed(name: str) -> str:
    """A name with its accents as parts of the letters; macOS has them after the letters, and so have its archives."""
    return unicodedata.normalize('NFC', name)


def label_of(
    image: str, folders: Callable[[Path], Sequence[Path]], texts: Callable[[Path], dict[str, Path]]
) -> Path | None:
    """The label file of an image; None if it has none."""
    path = Path(image)
    found = (texts(folder).get(_composed(path.stem)) for folder in folders(path.parent))
    return next((file for file in found if file is not None), None)


def label_folders(folder: Path) -> list[Path]:
    """Where labels of the images of a folder may be: in its folder of labels, in capitals or not, or beside them."""
    parts, found = folder.parts, [label_path(str(folder / 'image')).parent]
    for place in reversed(range(len(parts))):
        if parts[place].lower() == 'images':
            found += [labels.joinpath(*parts[place + 1 :]) for labels in called(Path(*parts[:place]), 'labels')]
    return [*found, folder]


def label_path(image: str) -> Path:
    """Where the labels of an image are: the last folder ``images`` of its path turned into ``labels``."""
    parts = list(Path(image).parts)
    places = [index for index, part in enumerate(parts[:-1]) if part == 'images']
    if places:
        parts[places[-1]] = 'labels'
    return Path(*parts).with_suffix('.txt')


def has_label(image: Path) -> bool:
    """Whether there is a label file for an image that may lie elsewhere."""
    return any((folder / f'{image.stem}.txt').is_file() for folder in label_folders(image.parent))
