"""A COCO file as arrays, in which a question to a million boxes takes a moment."""

from dataclasses import dataclass
from functools import cached_property
from itertools import chain, repeat

import numpy as np

SIDES = ('width', 'height')


@dataclass(frozen=True, eq=False)
class Table:
    """The content of a COCO file; entries that have a fault of form are left out.

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
    encoding: str = 'utf-8'

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


def table_of(path: str, coco: dict, encoding: str = 'utf-8') -> Table:
    """The table of lists without faults; see :func:`sssd.datasets.coco_form.without`.

    Args:
        path: The file they are of.
        coco: A dict with ``images``, ``annotations`` and ``categories``.
        encoding: What the file's text is in.
    """
    images, things, categories = (coco[key] for key in ('images', 'annotations', 'categories'))
    areas = [thing.get('area') for thing in things]
    crowd = [thing.get('iscrowd') for thing in things]
    return Table(
        path=path,
        image_ids=[image['id'] for image in images],
        names=[image.get('file_name', '') for image in images],
        sizes=numbers((image.get(key, np.nan) for image in images for key in SIDES), 2 * len(images)).reshape(-1, 2),
        ids=[thing['id'] for thing in things],
        owners=[thing['image_id'] for thing in things],
        kinds=[thing['category_id'] for thing in things],
        boxes=numbers(chain.from_iterable(thing['bbox'] for thing in things), 4 * len(things)).reshape(-1, 4),
        areas=numbers((np.nan if area is None else area for area in areas), len(areas)),
        has_area=np.fromiter((area is not None for area in areas), bool, len(areas)),
        has_crowd=np.fromiter((flag is not None for flag in crowd), bool, len(crowd)),
        crowd=np.fromiter(map(bool, crowd), bool, len(crowd)),
        ignored=np.fromiter((bool(thing.get('ignore')) for thing in things), bool, len(things)),
        category_ids=[category['id'] for category in categories],
        classes=[category['name'] for category in categories],
        encoding=encoding,
    )


def numbers(values, count: int) -> np.ndarray:
    """Numbers as an array of float64."""
    return np.fromiter(values, np.float64, count)
