"""Labels in a table (CSV), a row an object: image, class and corners, as Roboflow's export for TensorFlow has them.

Columns are known by their names, in any order. Corners are pixels from the image's corner on: an object is as wide as
xmax is above xmin. A row with an image alone is an image without objects.
"""

import csv
import posixpath
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sssd.datasets.beside import Images, images_of
from sssd.datasets.forms import PARTS, WHOLE, Builder, Labels, Mistakes, Readers, called, number_of, read_text, several
from sssd.errors import UserError
from sssd.images import EXTENSIONS, image_size, natural_key

#: What a table is called in a folder: by Roboflow, and by hand.
TABLES = ('_annotations.csv', 'annotations.csv', 'labels.csv')
#: What its columns are called, without capitals; those of the image's size may be absent.
_COLUMNS = dict(
    image=('filename', 'file_name', 'image', 'image_name', 'image_path', 'image_id', 'path', 'img'),
    label=('class', 'label', 'class_name', 'category', 'label_name'),
    xmin=('xmin', 'x_min', 'x1'),
    ymin=('ymin', 'y_min', 'y1'),
    xmax=('xmax', 'x_max', 'x2'),
    ymax=('ymax', 'y_max', 'y2'),
)
_CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')
_SIZE = dict(width=('width', 'image_width', 'img_width'), height=('height', 'image_height', 'img_height'))


@dataclass
class _Picture:
    """An image of the table.

    Attributes:
        told: As the table names it, with ``/``.
        line: The first line that does.
        things: Class and corners of its objects; None of a row with a mistake.
        size: Width and height, if the table has them.
    """

    told: str
    line: int
    things: list[tuple[str, list[float]] | None] = field(default_factory=list)
    size: tuple[int, int] | None = None


def find_csv(path: Path, images: str | None) -> Readers:
    """The parts of a data set in tables; none if ``path`` is no such.

    Args:
        path: A table, or a folder with one of :data:`TABLES`, or with a sub-folder a part that has one.
        images: The folder of the images, if the user named it.
    """
    if path.is_file():
        return {WHOLE: lambda: _read(path, images)} if path.suffix.lower() == '.csv' else {}
    inner = {PARTS[place.name.lower()]: table for place in called(path, *PARTS) if (table := _table_in(place))}
    table = _table_in(path)
    found = inner or ({WHOLE: table} if table else {})
    return {part: lambda table=table: _read(table, images) for part, table in found.items()}


def _table_in(folder: Path) -> Path | None:
    return next((folder / name for name in TABLES if (folder / name).is_file()), None)


def _read(path: Path, images: str | None) -> Labels:
    """Read a table.

    Raises:
        UserError: Naming the lines of what is wrong.
    """
    mistakes = Mistakes(path)
    pictures = _pictures(path, mistakes)
    mistakes.refuse()
    stems = {told: _stem(told) for told in pictures}
    files = images_of(path.parent, list(stems.values()), images, f'column of images in {path.name}')
    places = {told: mistakes.kept(_image_of, files, stems[told], each, path) for told, each in pictures.items()}
    mistakes.refuse()
    _refuse_twice(path, pictures, places)
    built = Builder(sorted({label for each in pictures.values() for label, _ in each.things}))
    for told in sorted(pictures, key=natural_key):
        size = pictures[told].size or mistakes.kept(image_size, str(Path(files.folder, places[told])))
        built.add_image(places[told], *(size or (0, 0)))
        for label, (x1, y1, x2, y2) in pictures[told].things:
            built.add_box(label, (x1, y1, x2 - x1, y2 - y1))
    mistakes.refuse()
    left = len({name for names in files.names.values() for name in names} - set(places.values()))
    bare = sum(not each.things for each in pictures.values())
    notes = {
        f'{several(left, "image")} that the table does not name: left out': left,
        f'{several(bare, "image")} with a row that has no object': bare,
    }
    return Labels(
        built.coco(), files.folder, 'CSV', str(path), notes=tuple(note for note, is_so in notes.items() if is_so)
    )


def _pictures(path: Path, mistakes: Mistakes) -> dict[str, _Picture]:
    """The images of a table with their objects, by their names; mistakes in rows are kept."""
    lines = read_text(path).splitlines()
    head = next((line for line in lines if line.strip()), '')
    rows = csv.reader(lines, delimiter=max(',;\t', key=head.count))
    columns = None
    found: dict[str, _Picture] = {}
    for row in rows:
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if columns is None:
            columns = _columns(path, cells)
            continue
        mistakes.kept(_add, found, cells, columns, f'{path}, line {rows.line_num}', rows.line_num)
    if columns is None:
        raise UserError(f'{path} is empty: name the labels.')
    return found


def _columns(path: Path, head: Sequence[str]) -> dict[str, int]:
    """The place of each column, by the names in the first row.

    Raises:
        UserError: If one is absent, or there twice.
    """
    names, places = [name.lower() for name in head], {}
    twice = [name for name, count in Counter(names).items() if count > 1 and name]
    if twice:
        raise UserError(f'{path} has two columns {twice[0]!r}: take one of them out.')
    for key, known in {**_COLUMNS, **_SIZE}.items():
        place = next((names.index(name) for name in known if name in names), None)
        if place is not None:
            places[key] = place
        elif key in _COLUMNS:
            raise UserError(
                f'{path} has no column {known[0]!r} in its first row ({", ".join(head)[:80]}): a table of labels has '
                'filename, class, xmin, ymin, xmax, ymax, a row an object, and perhaps width and height of the image.'
            )
    return places


def _add(found: dict[str, _Picture], cells: Sequence[str], columns: dict[str, int], where: str, line: int) -> None:
    """Add a row to its image.

    Raises:
        UserError: Naming the line.
    """
    told = {key: cells[place] if place < len(cells) else '' for key, place in columns.items()}
    name = told['image'].replace('\\', '/')
    if not name:
        raise UserError(f'{where}: it names no image: correct the row.')
    picture = found.setdefault(name, _Picture(name, line))
    if told.get('width') and told.get('height') and picture.size is None:
        size = tuple(int(number_of(told[key], where, key)) for key in _SIZE)
        picture.size = size if min(size) > 0 else None
    if not any(told[key] for key in ('label', *_CORNERS)):
        return
    corners = [number_of(told[key], where, key) for key in _CORNERS]
    if not told['label']:
        raise UserError(f'{where}: its object has no class: correct the row.')
    if corners[2] < corners[0] or corners[3] < corners[1]:
        box = ', '.join(f'{corner:g}' for corner in corners)
        raise UserError(f'{where}: the box ({box}) ends before it begins: correct the row.')
    picture.things.append((told['label'], corners))


def _stem(name: str) -> str:
    """The name of an image without its ending, if that is one of images."""
    stem, suffix = posixpath.splitext(name)
    return stem if suffix.lower() in EXTENSIONS else name


def _image_of(files: Images, stem: str, picture: _Picture, path: Path) -> str:
    """The image that the table names, relative to the folder of the images."""
    return files.of(stem, picture.told, Path(f'{path}, line {picture.line}'))


def _refuse_twice(path: Path, pictures: dict[str, _Picture], places: dict[str, str]) -> None:
    """Refuse two names of one image, such as those with other folders before it.

    Raises:
        UserError: Naming both.
    """
    first: dict[str, str] = {}
    for told, place in places.items():
        if first.setdefault(place, told) != told:
            lines = sorted((pictures[first[place]].line, pictures[told].line))
            raise UserError(
                f'{path}, lines {lines[0]} and {lines[1]}: {first[place]!r} and {told!r} are the same image, {place}: '
                'name it in one way.'
            )
