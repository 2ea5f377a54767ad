"""Labels as arrays, in which a question to a million boxes takes a moment."""

from dataclasses import dataclass
from functools import cached_property
from itertools import chain, repeat

import numpy as np

from sssd.datasets.coco_form import ABSENT, column

SIDES = ('width', 'height')


@dataclass(frozen=True, eq=False)
class Table:
    """The content of a COCO file, or of the XML files of VOC; entries that have a fault of form are left out.

    Attributes:
        path: The file.
        image_ids: Ids of the images, in the file's order.
        names: Their files.
        sizes: (M, 2) width and height in pixels, NaN where a metric's file has none.
        ids: Ids of the annotations, in the file's order.
        owners: Ids of the images they are of.
        kinds: Ids of their categories.
        boxes: (N, 4) x, y, width, height.
        areas: (N,) area, NaN where there is none.
        has_area: (N,) whether there is one.
        has_crowd: (N,) whether iscrowd is there and not null.
        crowd: (N,) whether it is set.
        ignored: (N,) whether ``ignore`` is set, an addition of mmdet's.
        category_ids: Ids of the categories, in the file's order.
        classes: Their names.
        form: ``'COCO'`` or ``'VOC'``.
    """

    path: str
    image_ids: list
    names: list[str]
    sizes: np.ndarray
    ids: list
    owners: list
    kinds: list
    boxes: np.ndarray
    areas: np.ndarray
    has_area: np.ndarray
    has_crowd: np.ndarray
    crowd: np.ndarray
    ignored: np.ndarray
    category_ids: list
    classes: list[str]
    form: str = 'COCO'

    @cached_property
    def place_of(self) -> dict:
        """To each image id its place; of several the last one's, as pycocotools takes it."""
        return {image: place for place, image in enumerate(self.image_ids)}

    @cached_property
    def image(self) -> np.ndarray:
        """(N,) the place of each annotation's image, -1 for one that is not in the file."""
        return places(self.place_of, self.owners)

    @cached_property
    def category(self) -> np.ndarray:
        """(N,) the place of each annotation's category, -1 for one that is not in the file."""
        return places({kind: place for place, kind in enumerate(self.category_ids)}, self.kinds)

    @cached_property
    def finite(self) -> np.ndarray:
        """(N,) whether all four numbers of a box are finite."""
        return np.isfinite(self.boxes).all(axis=1)


def places(index: dict, keys: list) -> np.ndarray:
    """The place of each key, -1 where it has none."""
    return np.fromiter(map(index.get, keys, repeat(-1)), np.int64, len(keys))


def table_of(path: str, coco: dict, columns: dict | None = None) -> Table:
    """The table of lists without faults; see :func:`sssd.datasets.coco_form.without`.

    Args:
        path: The file they are of.
        coco: A dict with ``images``, ``annotations`` and ``categories``.
        columns: What :func:`sssd.datasets.coco_form.faults_of` gathered of them, if they had no fault.
    """
    images, things = coco['images'], coco['annotations']

    def values(name: str, key: str) -> list:
        found = (columns or {}).get((name, key))
        return column(coco[name], key) if found is None else found

    boxes = (columns or {}).get(('annotations', 'bbox'))
    if boxes is None:
        boxes = chain.from_iterable(thing['bbox'] for thing in things)
    areas, crowd, ignored = (values('annotations', key) for key in ('area', 'iscrowd', 'ignore'))
    sizes = [_numbers(values('images', key)) for key in SIDES]
    names = values('images', 'file_name')
    return Table(
        path=path,
        image_ids=values('images', 'id'),
        names=['' if name is ABSENT else name for name in names],
        sizes=np.stack(sizes, axis=1).reshape(len(images), 2),
        ids=values('annotations', 'id'),
        owners=values('annotations', 'image_id'),
        kinds=values('annotations', 'category_id'),
        boxes=np.fromiter(boxes, np.float64, 4 * len(things)).reshape(-1, 4),
        areas=_numbers(areas),
        has_area=_there(areas),
        has_crowd=_there(crowd),
        crowd=_set(crowd),
        ignored=_set(ignored),
        category_ids=values('categories', 'id'),
        classes=values('categories', 'name'),
    )


def _numbers(values: list) -> np.ndarray:
    """Numbers as float64, NaN for what is absent."""
    if any(value is ABSENT for value in values):
        values = [np.nan if value is ABSENT else value for value in values]
    return np.fromiter(values, np.float64, len(values))


def _there(values: list) -> np.ndarray:
    """Whether a value is there and not null."""
    return np.fromiter((value is not ABSENT and value is not None for value in values), bool, len(values))


def _set(values: list) -> np.ndarray:
    """Whether a flag is there and set."""
    return np.fromiter((value is not ABSENT and bool(value) for value in values), bool, len(values))
