"""COCO files as tools export them: where their images are, and what Roboflow and others add that is no class."""

import os
import re
from pathlib import Path

from sssd.datasets.forms import IMAGES, PARTS, WHOLE, Labels, Readers, called
from sssd.datasets.json_io import read_coco
from sssd.datasets.labelme import beginning, is_labelme
from sssd.errors import UserError, shorten
from sssd.listing import near_file

ROBOFLOW = '_annotations.coco.json'
#: By which option a reader of labels has the folder of their images named, as `sssd split` does; see `with_option`.
OPTION = '--images'
_PART = re.compile(rf'(?:^|[^a-z])({"|".join(PARTS)})(?=[^a-z]|$)')
#: COCO's own files that hold no boxes to train with.
_OTHER = ('captions_', 'person_keypoints_', 'image_info_', 'panoptic_', 'stuff_')
#: What Label Studio puts beside labels in YOLO's form: names and ids of the classes.
_NOTES = 'notes.json'
#: What tells COCO's files among those of other tools.
_HAS_LISTS = re.compile(rb'"(images|annotations|categories|licenses)"\s*:')
_LOOKED_FOR = 20


def find_coco(path: Path, images: str | None) -> Readers:
    """The parts of a data set in COCO form; none if ``path`` is no such.

    Args:
        path: A JSON file; or a folder with such files, ``annotations/`` with them, or Roboflow's parts.
        images: The folder of the images, if the user named it.

    Raises:
        UserError: If several files could be meant.
    """
    if path.is_file():
        return {WHOLE: lambda: read(path, images)} if path.suffix.lower() == '.json' else {}
    folders = [place for place in called(path, *PARTS) if (place / ROBOFLOW).is_file()]
    inner = {PARTS[place.name.lower()]: place / ROBOFLOW for place in folders} or _by_part(path)
    for place in called(path, 'annotations'):
        inner = inner or _by_part(place)
    return {part: lambda file=file: read(file, images) for part, file in inner.items()}


def _by_part(folder: Path) -> dict[str, Path]:
    """The JSON files of a folder by the part that their names tell."""
    files = [file for file in sorted(folder.iterdir()) if file.suffix.lower() == '.json' and file.is_file()]
    files = [file for file in files if not file.name.startswith(_OTHER) and file.name.lower() != _NOTES]
    others = [file for file in files if not is_labelme(file)]
    if len(others) < len(files):
        files = [file for file in others if _HAS_LISTS.search(beginning(file))]  # not the settings of a tool
    found: dict[str, list[Path]] = {}
    for file in files:
        told = _PART.findall(file.stem.lower())
        found.setdefault(PARTS[told[-1]] if told else WHOLE, []).append(file)
    if set(found) - {WHOLE}:
        found.pop(WHOLE, None)  # such as the settings of a tool
    parts = {}
    for part, several in found.items():
        exact = [file for file in several if file.stem.lower() in (part, f'instances_{part}')]
        if len(exact or several) > 1:
            raise UserError(f'{folder} has {shorten([file.name for file in several])}: name the one that is meant.')
        (parts[part],) = exact or several
    return parts


def read(path: Path, images: str | None = None, annotations: bool = True) -> Labels:
    """A COCO file, its images found, without what is no class.

    Args:
        path: The file.
        images: The folder of its images; None looks for it.
        annotations: Whether the file must have some.

    Raises:
        UserError: If the file is none, or its images are nowhere.
    """
    coco, notes = read_coco(path, annotations), []
    names = [image['file_name'] for image in coco['images']]
    folder = images or _folder_of(path, names, images_told(coco, path))
    unused = _supercategories(coco)
    if unused:
        told = shorten([category['name'] for category in unused])
        notes.append(f'{path.name} lists {told} as a category, which only groups others and has no box: left out')
        coco = dict(coco, categories=[category for category in coco['categories'] if category not in unused])
    if any('\\' in name and not os.path.exists(os.path.join(folder, name)) for name in _some(names)):
        notes.append(f'{path.name} writes paths in the way of Windows: "\\" was read as "/"')
        turned = [dict(image, file_name=image['file_name'].replace('\\', '/')) for image in coco['images']]
        coco = dict(coco, images=turned)
    return Labels(coco, folder, 'COCO', str(path), None if notes else str(path), tuple(notes))


def _supercategories(coco: dict) -> list[dict]:
    """Categories without a box that others name as theirs above them, such as the first one of Roboflow's exports."""
    used = {thing['category_id'] for thing in coco.get('annotations') or []}
    return [
        category
        for category in coco['categories']
        if category['id'] not in used
        and any(
            other is not category and other.get('supercategory') == category['name'] for other in coco['categories']
        )
    ]


def images_told(coco: dict, path: str | Path) -> str | None:
    """The folder in which the file ``path`` itself says that its images are; None if it does not say."""
    told = coco['info'].get(IMAGES) if isinstance(coco.get('info'), dict) else None
    return os.path.normpath(os.path.join(os.path.dirname(path), told)) if isinstance(told, str) else None


def with_option(error: UserError, option: str) -> str:
    """What a reader of labels says, with the option by which a command has the folder of their images named."""
    return str(error).replace(f'({OPTION})', f'({option})')


def _folder_of(path: Path, names: list, told: str | None = None) -> str:
    """The folder below which the images of a file are: where most of some that are looked for are found.

    Looked for in the folder that the file itself has ``told``, then in those that are usual.

    Raises:
        UserError: If none is.
    """
    here, stem = path.parent, path.stem.removeprefix('instances_')
    ends = ('', path.stem, stem, re.split('[.@-]', stem)[0], 'images', f'images/{stem}', 'JPEGImages', 'data')
    places = [Path(os.path.normpath(above / end)) for above in (here, here / '..') for end in ends]
    if told is not None:
        places.insert(0, Path(told))
    counts = {str(place): _count(place, names) for place in places if place.is_dir()}
    if not any(counts.values()):
        places = [place for above in (here, Path(os.path.normpath(here / '..'))) for place in called(above, *ends)]
        counts.update((str(place), _count(place, names)) for place in places)
    best = max(counts, key=counts.get, default='')
    if not counts or (names and not counts[best]):
        raise UserError(_nowhere(path, names, list(counts), here))
    return best


def _nowhere(path: Path, names: list, places: list[str], here: Path) -> str:
    """That the images of a file are in no folder, and what is there in the place of the first."""
    first = f', such as {names[0]!r},' if names else ''
    remedy = f'name their folder ({OPTION})'
    for place in places if names else ():
        for wanted in (names[0].replace('\\', '/'), re.split(r'[/\\]', names[0])[-1]):
            near = near_file(os.path.join(place, wanted.lstrip('/')))
            if near is not None:
                there = f'but {place} has {near!r}: write file_name so'
                return f'the images of {path}{first} are not there, {there}, or {remedy}.'
    return f'the images of {path}{first} are in none of {", ".join(places) or here}: {remedy}.'


def _some(names: list) -> list:
    return names[:: -(-len(names) // _LOOKED_FOR) or 1]


def _count(place: Path, names: list) -> int:
    """How many of some images are in a folder."""
    return sum(os.path.isfile(place / name.replace('\\', '/')) for name in _some(names))
