"""A validation part of a labelled set in which each class has its share.

Images have boxes of several classes, so they are dealt out by iterative stratification (Sechidis, Tsoumakas and
Vlahavas, ECML PKDD 2011): the class with the fewest images left comes first, and each of its images goes to the part
that lacks that class most. Among equals the order is that of ``hash_order``, so a split is the same on every machine.
"""

import math
import os
from collections import Counter
from collections.abc import Sequence
from itertools import islice

from sssd.datasets.splits import hash_order, part_of
from sssd.errors import UserError

#: So many images are looked at for each that is moved.
_CANDIDATES = 2000


def split_validation(coco: dict, share: float, seed: int = 0) -> tuple[dict, dict]:
    """Split a COCO dict in two, for training and validation.

    Of a class in ``n >= 2`` images at least one image, and not all, is in each part.

    Args:
        coco: Content of an annotation file.
        share: Of the images, for validation; above 0 and below 1.
        seed: Another one gives another split.

    Returns:
        (training, validation): COCO dicts whose ``info['split']`` says how they were made.

    Raises:
        UserError: If the share is out of range, ids repeat, or a part would be empty.
    """
    if not 0 < share < 1:
        raise UserError(f'the share of validation is {share:g}, but must lie above 0 and below 1, such as 0.2.')
    ids = [image['id'] for image in coco['images']]
    if len(set(ids)) < len(ids):
        raise UserError(f'the image id {Counter(ids).most_common(1)[0][0]!r} is there twice: give each one of its own.')
    names = [os.path.normpath(image['file_name']) for image in coco['images']]
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise UserError(f'the image {twice} is there twice, and could get into both parts: join its entries.')
    if len(ids) < 2:
        raise UserError(f'a set of {len(ids)} image(s) cannot be split: give a validation set.')
    chosen = choose(hash_order(ids, seed, 0), classes_of(coco), share)
    split, parts = dict(seed=seed, share=share, method='iterative stratification'), []
    for part, inside in (('train', False), ('val', True)):
        info = dict(coco.get('info') if isinstance(coco.get('info'), dict) else {}, split=dict(split, part=part))
        parts.append(dict(part_of(coco, chosen, inside), info=info))
    return tuple(parts)


def classes_of(coco: dict) -> dict:
    """To each image id the set of its classes."""
    found = {image['id']: set() for image in coco['images']}
    for thing in coco['annotations']:
        found.get(thing['image_id'], set()).add(thing['category_id'])
    return found


def choose(order: Sequence, classes: dict, share: float) -> set:
    """The images for validation.

    Args:
        order: Image ids in the order in which equals are taken.
        classes: The set of classes of each.
        share: Of the images that is wanted.
    """
    images_of: dict = {}
    for image in order:
        for name in classes[image]:
            images_of.setdefault(name, []).append(image)
    total = min(max(round(share * len(order)), 1), len(order) - 1)
    # What each part still lacks of each class and, under None, of images; the first is training, the second validation.
    lacks = {name: _wanted(len(images), share) for name, images in images_of.items()}
    lacks[None] = [len(order) - total, total]
    left, chosen = dict.fromkeys(order), set()
    counts = {name: len(images) for name, images in images_of.items()}
    while counts:
        rarest = min(counts, key=lambda name: (counts[name], str(name)))
        for image in [image for image in images_of[rarest] if image in left]:
            part = _part(lacks, rarest)
            chosen.update([image] * part)
            del left[image]
            lacks[None][part] -= 1
            for name in classes[image]:
                lacks[name][part] -= 1
                counts[name] -= 1
        counts = {name: count for name, count in counts.items() if count}
    for image in left:  # without boxes
        part = int(lacks[None][1] > 0)
        chosen.update([image] * part)
        lacks[None][part] -= 1
    _keep_both(classes, images_of, chosen)
    _trim(order, classes, images_of, chosen, share, total)
    if not chosen or len(chosen) == len(order):  # the image goes over that has the fewest classes of its own alone
        alone = {image: sum(len(images_of[name]) == 1 for name in classes[image]) for image in order}
        chosen.symmetric_difference_update([min(order, key=alone.get)])
    return chosen


def _wanted(count: int, share: float) -> list[float]:
    """Images of a class for training and for validation; both get one where there are two."""
    validation = min(max(share * count, 1), count - 1) if count > 1 else 0
    return [count - validation, validation]


def _part(lacks: dict, name) -> int:
    """The part that lacks a class most; among equals the one that lacks more images for its size."""
    training, validation = lacks[name]
    if training == validation:
        training, validation = lacks[None]
    return int(validation > training)


def _keep_both(classes: dict, images_of: dict, chosen: set) -> None:
    """Move images of classes that are in one part alone, each time the one that leaves the fewest such classes."""
    inside = {name: sum(image in chosen for image in images) for name, images in images_of.items()}
    moved = []

    def alone(name, count) -> bool:
        return len(images_of[name]) > 1 and count in (0, len(images_of[name]))

    def cost(image) -> int:
        """How many more classes of an image would be in one part alone if it moved."""
        step = -1 if image in chosen else 1
        return sum(alone(name, inside[name] + step) - alone(name, inside[name]) for name in classes[image])

    for _ in range(10 * len(images_of)):
        bad = next((name for name in images_of if alone(name, inside[name])), None)
        if bad is None:
            return
        move = min((image for image in images_of[bad] if image not in moved[-2:]), key=cost, default=None)
        if move is None:
            return
        moved.append(move)
        step = -1 if move in chosen else 1
        chosen.symmetric_difference_update([move])
        for name in classes[move]:
            inside[name] += step


def _trim(order: Sequence, classes: dict, images_of: dict, chosen: set, share: float, total: int) -> None:
    """Move images until ``total`` are chosen, each time the one that fits the shares of the classes best.

    It ends before that if the next move would leave a class in one part alone.
    """
    inside = {name: sum(image in chosen for image in images) for name, images in images_of.items()}
    step = 1 if len(chosen) < total else -1

    def misfit(image) -> float:
        """How much further classes are from their shares with the image moved; infinite if that parts one."""
        change = 0.0
        for name in classes[image]:
            count, now = len(images_of[name]), inside[name]
            if count > 1 and now + step in (0, count):
                return math.inf
            change += (abs(now + step - share * count) - abs(now - share * count)) / count
        return change

    for _ in range(abs(total - len(chosen))):
        candidates = islice((image for image in order if (image in chosen) == (step < 0)), _CANDIDATES)
        move = min(candidates, key=misfit, default=None)
        if move is None or misfit(move) == math.inf:
            return
        chosen.symmetric_difference_update([move])
        for name in classes[move]:
            inside[name] += step
