"""Reading and writing annotation files of the COCO format."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from sssd.errors import UserError

_LISTS = ('images', 'annotations', 'categories')


def write_json(path: str | Path, content: dict) -> None:
    """Write ``content`` whole or not at all: a reader never sees half a file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}.{os.getpid()}.partial')
    try:
        partial.write_text(json.dumps(content))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def read_coco(
    path: str | Path, annotations: bool = True, image_fields: Sequence[str] = ('id', 'file_name', 'width', 'height')
) -> dict:
    """Read a COCO annotation file.

    Args:
        path: The JSON file.
        annotations: Whether ``annotations`` must be there; an unlabelled file may do without.
        image_fields: What each image must have.

    Returns:
        Its content: a dict with at least the lists ``images``, ``annotations``, ``categories``.

    Raises:
        UserError: If the file is missing, is no JSON, or lacks one of these lists or their ids, or a bbox or another
            number is none.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f'annotation file {path} does not exist; check ann_file and data_root.')
    try:
        coco = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f'{path} is no valid JSON ({error}); give a COCO annotation file.') from error
    lists = [key for key in _LISTS if annotations or key != 'annotations']
    missing = [key for key in lists if not isinstance(coco, dict) or not isinstance(coco.get(key), list)]
    if missing:
        raise UserError(
            f'{path} is not in COCO format: it lacks the list(s) {", ".join(missing)}; convert it to COCO first.'
        )
    _check_fields(path, coco, 'images', image_fields)
    _check_fields(path, coco, 'annotations', ('id', 'image_id', 'category_id', 'bbox'))
    _check_fields(path, coco, 'categories', ('id', 'name'))
    for position, entry in enumerate(coco.get('annotations') or []):
        box = entry['bbox']
        if not isinstance(box, list) or len(box) != 4 or not all(isinstance(side, (int, float)) for side in box):
            raise UserError(
                f"{path}: the bbox of entry {position} of 'annotations' is {str(box)[:40]}, but "
                'has to be [x, y, width, height].'
            )
    _check_numbers(path, coco, 'images', ('width', 'height'))
    _check_numbers(path, coco, 'annotations', ('area',))
    return coco


def _check_fields(path: Path, coco: dict, name: str, fields: Sequence[str]) -> None:
    for position, entry in enumerate(coco.get(name) or []):
        for field in fields:
            if not isinstance(entry, dict) or field not in entry:
                raise UserError(f'{path} is not in COCO format: entry {position} of {name!r} has no {field!r}; add it.')


def _check_numbers(path: Path, coco: dict, name: str, fields: tuple) -> None:
    """Refuse a field that is there and is no number."""
    for position, entry in enumerate(coco.get(name) or []):
        for field in fields:
            if not isinstance(entry.get(field, 0), (int, float)):
                raise UserError(
                    f'{path}: {field!r} of entry {position} of {name!r} is {str(entry[field])[:40]!r}, but '
                    'has to be a number.'
                )
