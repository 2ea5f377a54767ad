"""What a trained model finds on validation images, and its AP there by class and size, with intervals."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.config import Config

from sssd.errors import UserError
from sssd.report.bootstrap import ClassMatches, Estimate, Truth, average_precision, draw
from sssd.report.contact_sheet import Boxes, detect, ground_truth, validation_set
from sssd.report.scalars import ROLES, SINGLE_MODEL

#: COCO's areas in the order of pycocotools, by what a reader calls them.
AREAS = ('all', 'small, below 32 px', 'medium, below 96 px', 'large')
DRAWS = 1000


@dataclass
class Images:
    """Some validation images.

    Attributes:
        infos: mmdet's infos of them.
        classes: Names of the classes.
    """

    infos: list[dict]
    classes: Sequence[str]

    @classmethod
    def of(cls, config: Config, most: int, seed: int = 0) -> 'Images':
        """At most so many of a config's validation images, drawn by the seed.

        Raises:
            UserError: If the config has none.
        """
        if not config.get('val_dataloader'):
            raise UserError(f'{config.filename} has no val_dataloader: there are no images to look at, try --images 0.')
        dataset = validation_set(config)
        chosen = np.random.default_rng(seed).permutation(len(dataset))[:most]
        return cls([dataset.get_data_info(int(i)) for i in sorted(chosen)], dataset.metainfo['classes'])

    def truth(self) -> Truth:
        """Their objects, for :mod:`sssd.report.bootstrap`; those that a data set ignores are COCO's crowds."""
        boxes = [
            dict(image_id=number, corners=item['bbox'], label=item['bbox_label'], crowd=item.get('ignore_flag', 0))
            for number, info in enumerate(self.infos)
            for item in info['instances']
        ]
        content = dict(
            images=[dict(id=number) for number in range(len(self.infos))],
            categories=[dict(id=label, name=str(name)) for label, name in enumerate(self.classes)],
            annotations=[
                dict(
                    id=number,
                    image_id=box['image_id'],
                    category_id=box['label'],
                    bbox=xywh(box['corners']),
                    area=float(np.prod(xywh(box['corners'])[2:])),
                    iscrowd=int(box['crowd']),
                )
                for number, box in enumerate(boxes, 1)
            ],
        )
        with tempfile.NamedTemporaryFile('w', suffix='.json') as file:
            json.dump(content, file)
            file.flush()
            return Truth(file.name)

    def results(self, found: Sequence[Boxes]) -> list[dict]:
        """Detections as COCO results of these images."""
        return [
            dict(image_id=number, category_id=int(label), bbox=xywh(corners), score=float(score))
            for number, boxes in enumerate(found)
            for corners, label, score in zip(boxes.corners, boxes.labels, boxes.scores)
        ]


def xywh(corners: Sequence[float]) -> list[float]:
    """A box as COCO writes it."""
    x1, y1, x2, y2 = (float(value) for value in corners)
    return [x1, y1, x2 - x1, y2 - y1]


@dataclass
class Found:
    """What one model found on the images.

    Attributes:
        boxes: Its detections, image by image.
        areas: What COCO matched, by class, for each of :data:`AREAS`.
        weights: How often each image counts in each draw.
    """

    boxes: list[Boxes]
    areas: list[list[ClassMatches]]
    weights: np.ndarray

    def ap(self, label: int | None = None, area: int = 0) -> Estimate:
        """AP of a class, or of all, in percent, with its draws."""
        matches = self.areas[area]
        return Estimate.of(matches if label is None else matches[label : label + 1], self.weights)

    def by_image(self) -> np.ndarray:
        """AP on every image alone, in percent; NaN where there is no object."""
        return average_precision(self.areas[0], np.eye(self.weights.shape[1], dtype=np.int64))


def look(
    config: Config, checkpoint: str | Path, images: Images, device: str = 'cpu', roles: Sequence[str] | None = None
) -> dict[str, Found]:
    """What student and teacher, or the one model, of a checkpoint find on the images; of them ``roles`` if given."""
    truth, weights = images.truth(), draw(len(images.infos), DRAWS)
    paths = [info['img_path'] for info in images.infos]
    found = {}
    for role in roles or roles_of(config):
        asked = config.copy()
        if role != SINGLE_MODEL:
            asked.merge_from_dict(
                {'model.semi_test_cfg': dict(config.model.get('semi_test_cfg') or {}, predict_on=role)}
            )
        boxes = detect(asked, checkpoint, paths, 0.0, device)
        results = images.results(boxes)
        found[role] = Found(boxes, [truth.match(results, area) for area in range(len(AREAS))], weights)
    return found


def roles_of(config: Config) -> tuple[str, ...]:
    """Whose detections a config's model gives."""
    return ROLES if 'semi_test_cfg' in config.model or config.model.get('type') == 'sssd.SED' else (SINGLE_MODEL,)


def extremes(found: Found, images: Images, count: int = 4) -> Mapping[str, list[int]]:
    """The images on which a model's AP is best and worst, of those that have objects."""
    values = found.by_image()
    order = [int(i) for i in np.argsort(values, kind='stable') if not np.isnan(values[i])]
    return dict(worst=order[:count], best=order[::-1][: min(count, max(0, len(order) - count))])


def rows_of(images: Images, chosen: Sequence[int], found: Mapping[str, Found], score_thr: float) -> list:
    """The chosen images as rows of a contact sheet."""
    rows = []
    for number in chosen:
        row = ground_truth(images.infos[number])
        for one in found.values():
            boxes = one.boxes[number]
            kept = boxes.scores >= score_thr
            row.found.append(Boxes(boxes.corners[kept], boxes.labels[kept], boxes.scores[kept]))
        rows.append(row)
    return rows
