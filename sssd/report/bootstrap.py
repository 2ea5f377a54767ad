"""COCO's AP on resampled images: how far a figure of a test part, or a difference of two, depends on its images.

A paired bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993): the images are drawn anew with
replacement, the same draw for all runs, and the AP of each run is computed on each draw. pycocotools matches the
detections of a run to the objects once, image by image; what it accumulates over images is accumulated here for many
draws at a time, an image counting as often as it was drawn.
"""

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sssd.errors import UserError, shorten
from sssd.evaluation.coco_metric import number_annotations

IOUS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MAX_DETECTIONS = 100
LEVEL = 0.95
#: Numbers held at a time: draws are taken in parts so that an array of draws x detections stays below it.
HELD = 20_000_000


@dataclass(frozen=True)
class ClassMatches:
    """What pycocotools found of one class; D detections by falling score, T IoU thresholds, I images.

    Attributes:
        image: Number of the image of each detection, (D,).
        hit: Whether it found an object, (T, D).
        miss: Whether it found none, (T, D); a detection of an object that COCO ignores is neither.
        objects: Objects of each image that count, (I,).
    """

    image: np.ndarray
    hit: np.ndarray
    miss: np.ndarray
    objects: np.ndarray


class Truth:
    """The objects of a test part.

    Args:
        ann_file: Its COCO file.
        classes: Names of the classes that count; None takes all categories of the file.

    Raises:
        UserError: If the file has none of the classes.
    """

    def __init__(self, ann_file: str, classes: Sequence[str] | None = None) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            self.coco = COCO(str(ann_file))
        number_annotations(self.coco)
        self.ann_file = ann_file
        self.categories = sorted(self.coco.getCatIds(catNms=list(classes or [])))
        self.images = sorted(self.coco.getImgIds())
        if not self.categories:
            raise UserError(f'{ann_file} has none of the classes {shorten(list(classes or []))}: name another file.')

    def match(self, detections: list[dict], area: int = 0) -> list[ClassMatches]:
        """Match detections to the objects, as COCO does for AP (100 detections an image).

        Args:
            detections: COCO results: dicts with ``image_id``, ``category_id``, ``bbox`` and ``score``.
            area: COCO's range of areas: 0 for all, 1 for small, 2 for medium and 3 for large objects.

        Returns:
            One item a class.

        Raises:
            UserError: If a detection is of an image that the file does not have.
        """
        foreign = {detection['image_id'] for detection in detections} - set(self.images)
        if foreign:
            raise UserError(
                f'detections are of an image {min(foreign)} that {self.ann_file} does not have: they were made on '
                'other images, test the run again.'
            )
        with contextlib.redirect_stdout(io.StringIO()):
            found = self.coco.loadRes([dict(one) for one in detections]) if detections else self._nothing()
            evaluation = COCOeval(self.coco, found, 'bbox')
            params = evaluation.params
            params.catIds, params.imgIds, params.maxDets = self.categories, self.images, [MAX_DETECTIONS]
            params.areaRng, params.areaRngLbl = params.areaRng[area : area + 1], params.areaRngLbl[area : area + 1]
            evaluation.evaluate()
        number = len(self.images)
        return [
            class_matches(evaluation.evalImgs[start : start + number])
            for start in range(0, len(evaluation.evalImgs), number)
        ]

    def _nothing(self) -> COCO:
        """No detection at all, which ``loadRes`` does not take."""
        empty = COCO()
        empty.dataset = dict(self.coco.dataset, annotations=[])
        empty.createIndex()
        return empty


def class_matches(evaluated: Sequence[dict | None]) -> ClassMatches:
    """One class of pycocotools' ``evalImgs``, image by image; None where it has neither object nor detection."""
    objects = np.zeros(len(evaluated), dtype=np.int64)
    images, scores, matched, ignored = [], [], [np.zeros((len(IOUS), 0))], [np.zeros((len(IOUS), 0))]
    for number, one in enumerate(evaluated):
        if one is None:
            continue
        objects[number] = np.count_nonzero(np.asarray(one['gtIgnore']) == 0)
        images += [number] * len(one['dtScores'])
        scores += one['dtScores']
        matched.append(one['dtMatches'])
        ignored.append(one['dtIgnore'])
    order = np.argsort(-np.asarray(scores, dtype=float), kind='mergesort')
    matched, counts = np.concatenate(matched, 1)[:, order] != 0, np.concatenate(ignored, 1)[:, order] == 0
    return ClassMatches(np.asarray(images, dtype=np.int64)[order], matched & counts, ~matched & counts, objects)


def draw(images: int, times: int, seed: int = 0) -> np.ndarray:
    """How often each image is in each of ``times`` draws with replacement, (times, images)."""
    if images < 1 or times < 1:
        raise UserError(f'a bootstrap of {times} draws of {images} images is none: give it at least one of both.')
    return np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=times)


def precision(matches: ClassMatches, weights: np.ndarray) -> Iterator[np.ndarray]:
    """COCO's interpolated precision of one class, at each recall of :data:`RECALLS`.

    As ``COCOeval.accumulate`` with each image as many times as it was drawn: the precision envelope is read at the
    first detection that reaches a recall, which is always a hit, so the misses between two hits need no place of
    their own.

    Args:
        matches: The class.
        weights: How often each image counts in each draw, (B, I).

    Yields:
        (b, T, R) for consecutive parts of the draws; -1 in draws without an object of the class, as in COCO.
    """
    size = max(1, HELD // max(1, len(matches.image)))
    for begin in range(0, len(weights), size):
        part = weights[begin : begin + size]
        total, counts = part @ matches.objects, part[:, matches.image]
        found = np.full((len(part), len(IOUS), len(RECALLS)), -1.0)
        present = np.flatnonzero(total)
        for t in range(len(IOUS)):
            found[present, t] = _at_recalls(matches.hit[t], matches.miss[t], counts[present], total[present])
        yield found


def _at_recalls(hit: np.ndarray, miss: np.ndarray, counts: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Precision at each recall, (b, R), of detections that count so often, (b, D), for so many objects, (b,)."""
    ranks = np.flatnonzero(hit)
    hits = np.cumsum(counts[:, ranks], axis=1)
    misses = np.cumsum(counts * miss, axis=1)[:, ranks]
    rising = (hits / (misses + hits + np.spacing(1)))[:, ::-1]
    # One more column: the precision at recalls that are never reached.
    envelope = np.pad(np.maximum.accumulate(rising, axis=1)[:, ::-1], ((0, 0), (0, 1)))
    recall = hits / total[:, None]
    places = np.array([np.searchsorted(reached, RECALLS) for reached in recall], dtype=int).reshape(-1, len(RECALLS))
    return np.take_along_axis(envelope, places, axis=1)


def average_precision(matches: Sequence[ClassMatches], weights: np.ndarray) -> np.ndarray:
    """AP at IoU 0.5 to 0.95 of each draw, in percent, (B,); NaN where a draw has no object at all.

    Args:
        matches: All classes of a run.
        weights: How often each image counts in each draw, (B, I).
    """
    total, classes = np.zeros(len(weights)), np.zeros(len(weights))
    for one in matches:
        means = np.concatenate([part.mean((1, 2)) for part in precision(one, weights)])
        present = weights @ one.objects > 0
        total, classes = total + np.where(present, means, 0.0), classes + present
    return 100 * np.divide(total, classes, out=np.full(len(weights), np.nan), where=classes > 0)


@dataclass(frozen=True)
class Estimate:
    """A figure of a test part, and the same of every draw of its images.

    Attributes:
        value: The figure.
        samples: The figure of each draw, (B,).
    """

    value: float
    samples: np.ndarray

    @classmethod
    def of(cls, matches: Sequence[ClassMatches], weights: np.ndarray) -> 'Estimate':
        """The AP of a run, in percent."""
        as_it_is = np.ones((1, weights.shape[1]), dtype=weights.dtype)
        return cls(float(average_precision(matches, as_it_is)[0]), average_precision(matches, weights))

    @classmethod
    def mean(cls, estimates: Sequence['Estimate']) -> 'Estimate':
        """The mean of several runs, draw by draw: of seeds, whose images are the same."""
        return cls(
            float(np.mean([one.value for one in estimates])), np.mean([one.samples for one in estimates], axis=0)
        )

    def __sub__(self, other: 'Estimate') -> 'Estimate':
        """The difference, draw by draw."""
        return Estimate(self.value - other.value, self.samples - other.samples)

    def over(self, other: 'Estimate') -> 'Estimate':
        """The ratio, draw by draw; draws in which the other one is not above 0 have none."""
        above = other.samples > 0
        samples = np.divide(self.samples, other.samples, out=np.full(len(self.samples), np.nan), where=above)
        return Estimate(self.value / other.value if other.value > 0 else float('nan'), samples)

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The percentile interval; NaN if no draw has the figure."""
        kept = self.samples[~np.isnan(self.samples)]
        if not len(kept):
            return float('nan'), float('nan')
        low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)
