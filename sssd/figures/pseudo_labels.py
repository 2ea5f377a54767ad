"""Recall and precision of hard pseudo-labels against the score threshold (SED, Fig. 2c)."""

import io
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass

import numpy as np
import torch
from mmengine.structures import InstanceData
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import nn

from sssd.detectors.sizes import found_at_sizes
from sssd.figures.passes import pass_of
from sssd.figures.style import colour, heading, legend_below, new_figure, styled

IOUS = (0.5, 0.9)
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(20))


@dataclass
class Image:
    """Truth and detections of one image, boxes (x1, y1, x2, y2) in the pixels of its file.

    Attributes:
        boxes: Objects (n, 4).
        labels: Their classes (n,).
        crowd: True where a detection neither counts nor errs, (n,).
        found: Detections (m, 4).
        found_labels: Their classes (m,).
        scores: Their scores (m,).
    """

    boxes: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    found: np.ndarray
    found_labels: np.ndarray
    scores: np.ndarray


@torch.no_grad()
def detections(
    detector: nn.Module, loaded: Iterable[tuple[dict, list[dict]]], sizes: Sequence[float] = (), mirror: bool = True
) -> Iterable[list[Image]]:
    """What a plain detector in evaluation mode finds, batch by batch; ``loaded`` is of :func:`.passes.batches`.

    With ``sizes`` it is what a teacher finds at these as well, as :class:`~sssd.detectors.PseudoLabels` has it.
    """
    for batch, infos in loaded:
        found = _found_at_sizes(detector, batch, sizes, mirror) if sizes else _found(detector, batch)
        yield [_image(info, instances.cpu()) for info, instances in zip(infos, found)]


def _found(detector: nn.Module, batch: dict) -> list[InstanceData]:
    return [sample.pred_instances for sample in detector.test_step(batch)]


def _found_at_sizes(detector: nn.Module, batch: dict, sizes: Sequence[float], mirror: bool) -> list[InstanceData]:
    data = detector.data_preprocessor(batch, False)
    inputs, samples = data['inputs'], data['data_samples']
    done = pass_of(detector, inputs, [sample.metainfo for sample in samples])
    found = found_at_sizes(inputs, samples, done, sizes, mirror)
    for instances, sample in zip(found, samples):
        instances.bboxes = instances.bboxes / instances.bboxes.new_tensor(sample.scale_factor).repeat(2)
    return found


def _image(info: dict, found) -> Image:
    items = info.get('instances', [])
    return Image(
        np.array([item['bbox'] for item in items], float).reshape(-1, 4),
        np.array([item['bbox_label'] for item in items], int),
        np.array([bool(item.get('ignore_flag')) for item in items], bool),
        found.bboxes.numpy().astype(float),
        found.labels.numpy(),
        found.scores.numpy().astype(float),
    )


def recall_precision(
    images: Sequence[Image], classes: int, thresholds: Sequence[float] = THRESHOLDS, ious: Sequence[float] = IOUS
) -> dict:
    """Recall and precision of the detections that reach a score, over thresholds and IoUs (Fig. 2c).

    Detections are matched with objects of their class as COCO's evaluation does it: by falling score, each to the free
    object that it overlaps most, from the IoU on; crowds take up what lies on them. A detection below a threshold does
    not change what those above it are matched with, so one matching serves all thresholds.

    Args:
        images: Truth and detections.
        classes: Number of classes.
        thresholds: Scores from which a detection is a pseudo-label.
        ious: IoUs from which it is right.

    Returns:
        ``thresholds``; ``images``, ``objects``, and ``pseudo_labels`` per threshold; COCO's ``ap`` (``all`` its mean
        over IoUs, ``50``, ``75``; None without an object); for each IoU under ``iou`` the
        lists ``recall`` and ``precision`` over all objects, and ``class_recall``, ``class_precision``, the means over
        the classes that have any. None where there is nothing to divide by: no object, no pseudo-label.
    """
    objects, scores, labels, right, counted = _matched(images, classes, ious)
    kept = scores[None] >= np.array(thresholds)[:, None]
    result = dict(
        thresholds=list(thresholds),
        images=len(images),
        objects=int(objects.sum()),
        ap=average_precision(images, classes),
        iou={},
        pseudo_labels=(kept & counted[0]).sum(1).tolist() if len(ious) else [],
    )
    for place, iou in enumerate(ious):
        member = np.eye(classes, dtype=int)[labels] * counted[place][:, None]
        labelled, correct = kept @ member, kept @ (member * right[place][:, None])
        result['iou'][str(iou)] = dict(
            recall=[_share(row.sum(), objects.sum()) for row in correct],
            precision=[_share(row.sum(), total.sum()) for row, total in zip(correct, labelled)],
            class_recall=[_mean_share(row, objects) for row in correct],
            class_precision=[_mean_share(row, total) for row, total in zip(correct, labelled)],
        )
    return result


def average_precision(images: Sequence[Image], classes: int) -> dict[str, float] | None:
    """COCO's AP of all sizes: the mean over its IoUs, at IoU 0.5 and at 0.75; None where there is no object."""
    truth, found = _as_coco(images, classes)
    if all(annotation['iscrowd'] for annotation in truth.anns.values()):
        return None
    with redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, found, 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(('all', '50', '75'), map(float, evaluation.stats[:3])))


def _matched(images: Sequence[Image], classes: int, ious: Sequence[float]):
    """Objects per class (K,); scores and classes (D,) of all detections; which are right and which count, (I, D)."""
    truth, found = _as_coco(images, classes)
    with redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, found, 'bbox')
        evaluation.params.iouThrs = np.array(ious, float)
        evaluation.params.maxDets = [max((len(image.scores) for image in images), default=1)]
        evaluation.params.areaRng = [[-np.inf, np.inf]]
        evaluation.evaluate()
    objects, parts = np.zeros(classes, int), []
    for entry in evaluation.evalImgs:
        if entry is not None:
            objects[entry['category_id']] += int((entry['gtIgnore'] == 0).sum())
            count = len(entry['dtScores'])
            parts.append(
                (
                    np.array(entry['dtScores'], float),
                    np.full(count, entry['category_id']),
                    np.reshape(entry['dtMatches'], (len(ious), count)) > 0,
                    ~np.reshape(entry['dtIgnore'], (len(ious), count)).astype(bool),
                )
            )
    empty = np.zeros((len(ious), 0), bool)
    scores, labels, right, counted = zip(*parts, (np.zeros(0), np.zeros(0, int), empty, empty))
    return objects, np.concatenate(scores), np.concatenate(labels), np.concatenate(right, 1), np.concatenate(counted, 1)


def _as_coco(images: Sequence[Image], classes: int) -> tuple[COCO, COCO]:
    """Truth and detections as pycocotools has them; categories are class numbers."""
    truth, found = [], []
    for number, image in enumerate(images):
        for box, label, crowd in zip(image.boxes, image.labels, image.crowd):
            truth.append(_annotation(len(truth) + 1, number, box, label, iscrowd=int(crowd)))
        for box, label, score in zip(image.found, image.found_labels, image.scores):
            found.append(_annotation(len(found) + 1, number, box, label, score=float(score), iscrowd=0))
    return _indexed(truth, len(images), classes), _indexed(found, len(images), classes)


def _annotation(number: int, image: int, box: np.ndarray, label: int, **more) -> dict:
    x1, y1, x2, y2 = (float(side) for side in box)
    return dict(
        id=number,
        image_id=image,
        category_id=int(label),
        bbox=[x1, y1, x2 - x1, y2 - y1],
        area=(x2 - x1) * (y2 - y1),
        **more,
    )


def _indexed(annotations: list[dict], images: int, classes: int) -> COCO:
    coco = COCO()
    coco.dataset = dict(
        images=[dict(id=number) for number in range(images)],
        annotations=annotations,
        categories=[dict(id=number) for number in range(classes)],
    )
    with redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def _share(part, whole) -> float | None:
    return float(part / whole) if whole else None


def _mean_share(part: np.ndarray, whole: np.ndarray) -> float | None:
    """Mean of part / whole (K,) over the classes where there is a whole."""
    there = whole > 0
    return float((part[there] / whole[there]).mean()) if there.any() else None


def draw_recall_precision(result: dict, title: str, about: str = ''):
    """The figure of :func:`recall_precision`: over all objects as lines, the means over classes dotted."""
    with styled():
        figure = new_figure(4.2)
        handles, panels = [], figure.subplots(1, 2, sharey=True)
        for axes, name in zip(panels, ('recall', 'precision')):
            for place, (iou, found) in enumerate(result['iou'].items()):
                for key, style, what in ((name, '-', ''), (f'class_{name}', ':', ', mean over classes')):
                    values = [np.nan if value is None else value for value in found[key]]
                    label = rf'IoU $\geq {iou}${what}'
                    lines = axes.plot(result['thresholds'], values, style, color=colour(place), label=label)
                    handles += lines if name == 'recall' else []
            axes.set(title=name.capitalize(), xlabel='score threshold of a pseudo-label', xlim=(0, 1), ylim=(0, 1.02))
            axes.set_ylabel(name)
            axes.tick_params(labelleft=True)
        legend_below(figure, handles)
        heading(figure, title, about)
    return figure
