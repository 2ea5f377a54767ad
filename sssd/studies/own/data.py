"""A user's own labelled and unlabelled images: where they are, and that they are kept apart."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from sssd.data.image_folder import list_images
from sssd.datasets.json_io import read_coco
from sssd.datasets.labels import Labels
from sssd.errors import UserError, shorten


@dataclass(frozen=True)
class OwnData:
    """Where a user's images and labels are.

    Attributes:
        labeled: COCO file of the labelled images.
        labeled_images: Their folder.
        unlabeled: Folder of the unlabelled images, or a COCO file that lists them.
        val: COCO file of the images to evaluate on.
        val_images: Their folder.
        unlabeled_images: Folder of the images that a COCO file ``unlabeled`` lists.
        names: File with the names of the images to take of the folder ``unlabeled``; empty for all.
        everything: COCO file of all images with labels that nothing is kept from; empty if there is none.
        everything_images: Their folder.
    """

    labeled: str
    labeled_images: str
    unlabeled: str
    val: str
    val_images: str
    unlabeled_images: str = ''
    names: str = ''
    everything: str = ''
    everything_images: str = ''


def boxes_by_class(labels: Labels) -> dict[str, int]:
    """Boxes of each class that has any, in the order of the categories, by which mmdet numbers classes.

    Raises:
        UserError: If a class is named twice or there is no box.
    """
    names = {category['id']: category['name'] for category in labels.coco['categories']}
    twice = sorted(name for name in set(names.values()) if list(names.values()).count(name) > 1)
    if twice:
        raise UserError(f'{labels.source} has several categories called {twice[0]!r}: give each a name of its own.')
    counts = Counter(names.get(thing['category_id']) for thing in labels.coco['annotations'])
    found = {name: counts[name] for name in names.values() if counts[name]}
    if not found:
        used = list(dict.fromkeys(thing['category_id'] for thing in labels.coco['annotations']))
        told = f'category_id is {shorten(used)}, but categories have the id {shorten(list(names))}'
        remedy = f'{told}: write both alike' if used else 'give a labelled set'
        raise UserError(f'{labels.source} has no box of its categories: {remedy}.')
    return found


def left_out(names: Sequence[str], boxes: Mapping[str, int]) -> list[str]:
    """What is to be said of classes without a box, which are left out.

    Args:
        names: All classes, in their order.
        boxes: Boxes of those that have any.
    """
    without = [name for name in names if name not in boxes]
    if not without:
        return []
    doubt = ''
    if without == [names[0]]:
        doubt = '; as it is the first one, see whether all category_ids are one too high'
    return [f'no labelled box is of {shorten(without)}, left out of the classes{doubt}']


def check_apart(val: Labels, trained_with: dict[str, Sequence[str]]) -> None:
    """Refuse images that are evaluated on and trained with.

    Args:
        val: The images to evaluate on.
        trained_with: Real paths of the others, by what they are of.

    Raises:
        UserError: Naming one of them.
    """
    held_out = set(real_paths(val.coco['images'], val.images))
    for what, paths in trained_with.items():
        shared = sorted(held_out.intersection(paths))
        if shared:
            raise UserError(
                f'{len(shared)} images of {val.source} are also in {what}, such as {shared[0]}: take '
                'them out of one of the two, or the result is not one on unseen images.'
            )


def unlabeled_paths(unlabeled: str, images: str) -> Sequence[str]:
    """Real paths of unlabelled images: those of a folder, or of a COCO file over the folder ``images``."""
    if images:
        return real_paths(read_coco(unlabeled, annotations=False)['images'], images)
    folder_of = cache(os.path.realpath)  # there may be a million images
    return [
        os.path.realpath(path)
        if os.path.islink(path)
        else os.path.join(folder_of(os.path.dirname(path)), os.path.basename(path))
        for path in list_images(unlabeled)
    ]


def real_paths(images: Sequence[dict], folder: str) -> list[str]:
    """Real paths of images that a COCO dict lists."""
    return [os.path.realpath(os.path.join(folder, image['file_name'])) for image in images]
