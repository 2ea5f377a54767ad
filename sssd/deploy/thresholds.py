"""From which score on a box is written: one number for all classes or one for each, by hand or from labelled images."""

import contextlib
import io
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from mmdet.apis import DetInferencer
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sssd.datasets.coco import with_option
from sssd.datasets.forms import Labels
from sssd.datasets.labels import read_labels
from sssd.deploy.predict import Collected, detect, floored
from sssd.errors import UserError
from sssd.progress import tracked

AUTO, DEFAULT = 'auto', 0.3
#: A detection is right if it overlaps an object of its class by this much.
IOU = 0.5


class Suggestion(NamedTuple):
    """The threshold of a class, and what it makes of the labelled images; None without objects or detections."""

    threshold: float
    precision: float | None = None
    recall: float | None = None


def thresholds_of(words: Sequence[str], classes: Sequence[str]) -> list[float]:
    """The threshold of each class, :data:`DEFAULT` where no word is for it or for all.

    Args:
        words: ``0.3`` for all, ``NAME=0.5`` for a class.
        classes: Names of the classes.

    Raises:
        UserError: If a word is neither, or names no class.
    """
    common, own = DEFAULT, {}
    for word in words:
        name, equals, number = word.rpartition('=')
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not 0 <= value <= 1:
            raise UserError(
                f'--threshold is {word}, but it takes a score from 0 to 1, NAME=SCORE for a class, or auto.'
            )
        if equals and name not in classes:
            raise UserError(
                f'--threshold is {word}, but the detector has no class {name}: it has {", ".join(classes)}.'
            )
        if equals:
            own[name] = value
        else:
            common = value
    return [own.get(name, common) for name in classes]


def validation_of(told: Mapping[str, Any] | None, path: str | None, images: str | None = None) -> Labels:
    """The labelled images on which thresholds are chosen: those named, else those of the training's validation.

    Args:
        told: What the exported weights say of it: ``labels`` and ``images``.
        path: Labels in any form, if the user names some.
        images: The folder of their images, where the form does not tell it.

    Raises:
        UserError: If there are none.
    """
    if path:
        try:
            return read_labels(path, images, 'val')
        except UserError as error:
            raise UserError(f'--validation {with_option(error, "--validation-images")}') from error
    if not told:
        raise UserError(
            '--threshold auto needs labelled images, and the detector does not tell those of its validation: name some '
            'with --validation, or give a number.'
        )
    if not os.path.isfile(told['labels']) or not os.path.isdir(told['images']):
        raise UserError(
            f'--threshold auto needs labelled images, and those of the validation ({told["labels"]}) are not here: '
            'start in the folder of the training, name others with --validation, or give a number.'
        )
    return read_labels(told['labels'], told['images'], 'val')


def suggest(inferencer: DetInferencer, labels: Labels, batch_size: int = 1) -> tuple[dict[str, Suggestion], int]:
    """For each class the score from which on the F1 of its detections is highest, and how many images were read.

    The score has four digits, and gives the detections that were counted.

    Args:
        inferencer: The detector.
        labels: Labelled images, of which it should not have seen any in its training.
        batch_size: Images at a time.

    Raises:
        UserError: If the labels have none of its classes, or no image can be read.
    """
    classes = list(inferencer.model.dataset_meta['classes'])
    kinds = {each['name']: each['id'] for each in labels.coco['categories']}
    if not set(kinds) & set(classes):
        raise UserError(
            f'{labels.source} has the classes {", ".join(kinds)}, and the detector has {", ".join(classes)}: name '
            'labels of its classes with --validation.'
        )
    ids = {
        os.path.abspath(os.path.join(labels.images, each['file_name'])): each['id'] for each in labels.coco['images']
    }
    rows, read = [], set()
    found = Collected(classes, labels.images, 0.0, floored)  # or the box that is chosen could be left out
    for each in tracked(detect(inferencer, list(ids), batch_size), 'choosing thresholds', len(ids)):
        if each.sample is not None:
            found.add(each.path, each.sample)
            read.add(ids[each.path])
    if not read:
        raise UserError(f'none of the images of {labels.source} could be read: name other labels with --validation.')
    coco = found.coco()
    names = {each['id']: each['name'] for each in coco['categories']}
    places = {
        each['id']: ids[os.path.abspath(os.path.join(labels.images, each['file_name']))] for each in coco['images']
    }
    for thing in coco['annotations']:
        kind = kinds.get(names[thing['category_id']])
        if kind is not None:
            rows.append(
                dict(image_id=places[thing['image_id']], category_id=kind, bbox=thing['bbox'], score=thing['score'])
            )
    return {name: _best(labels.coco, rows, kinds.get(name), sorted(read)) for name in classes}, len(read)


def _best(truth: Mapping, rows: Sequence[dict], kind: Any, images: Sequence) -> Suggestion:
    """The suggestion for one class."""
    if kind is None or not any(row['category_id'] == kind for row in rows):
        return Suggestion(DEFAULT)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        things = [
            dict(thing, id=number, iscrowd=thing.get('iscrowd', 0), area=thing['bbox'][2] * thing['bbox'][3])
            for number, thing in enumerate(truth['annotations'], 1)
        ]
        coco.dataset = dict(truth, annotations=things)
        coco.createIndex()
        evaluated = COCOeval(coco, coco.loadRes([dict(row) for row in rows]), 'bbox')
        evaluated.params.catIds, evaluated.params.imgIds, evaluated.params.iouThrs = [kind], images, np.array([IOU])
        evaluated.params.areaRng, evaluated.params.areaRngLbl = [[0, 1e10]], ['all']
        evaluated.evaluate()
    each = [one for one in evaluated.evalImgs if one is not None]
    objects = sum(int((1 - np.asarray(one['gtIgnore'])).sum()) for one in each)
    scores = np.concatenate([np.asarray(one['dtScores'], float) for one in each])
    kept = ~np.concatenate([np.asarray(one['dtIgnore'], bool)[0] for one in each])
    right = np.concatenate([np.asarray(one['dtMatches'])[0] > 0 for one in each])[kept]
    scores = scores[kept]
    if not objects or not len(scores) or not right.any():
        return Suggestion(DEFAULT)
    order = np.argsort(-scores, kind='stable')
    hits, count = np.cumsum(right[order]), np.arange(1, len(scores) + 1)
    scores = scores[order]
    last = np.append(scores[1:] != scores[:-1], True)  # equal scores are written together
    best = int(np.where(last, 2 * hits / (count + objects), -1).argmax())
    return Suggestion(float(scores[best]), float(hits[best] / count[best]), float(hits[best] / objects))
