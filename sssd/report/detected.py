"""What a trained model finds on validation images, and its AP there by class and size, with intervals."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mmengine.config import Config

from sssd.errors import UserError
from sssd.report.bootstrap import ClassMatches, Estimate, Truth, average_precision, draw
from sssd.report.contact_sheet import Boxes, detect, ground_truth, validation_set
from sssd.report.kept import Kept, read_kept
from sssd.report.scalars import ROLES, SINGLE_MODEL

#: COCO's areas in the order of pycocotools, by what a reader calls them.
AREAS = ('all', 'small, below 32 px', 'medium, below 96 px', 'large')
DRAWS = 1000
#: So many images at least where what was found on them was kept, and no model has to run.
MANY = 500


@dataclass
class Images:
    """Some validation images.

    Attributes:
        infos: mmdet's infos of them.
        classes: Names of the classes.
        ann_file: The COCO file that the config evaluates on; None for another metric.
    """

    infos: list[dict]
    classes: Sequence[str]
    ann_file: str | None = None

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
        infos = [dataset.get_data_info(int(i)) for i in sorted(chosen)]
        return cls(infos, dataset.metainfo['classes'], evaluated_on(config))

    @property
    def paths(self) -> list[str]:
        """Their files."""
        return [info['img_path'] for info in self.infos]

    def truth(self) -> Truth:
        """Their objects, for :mod:`sssd.report.bootstrap`, as the training's metric has them where that is COCO's."""
        content = dict(
            images=[dict(id=number) for number in range(len(self.infos))],
            categories=[dict(id=label, name=str(name)) for label, name in enumerate(self.classes)],
            annotations=annotated(self) or loaded(self),
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


def evaluated_on(config: Config) -> str | None:
    """The file of a config's one COCO metric."""
    evaluator = config.get('val_evaluator')
    one = evaluator[0] if isinstance(evaluator, (list, tuple)) and len(evaluator) == 1 else evaluator
    is_coco = isinstance(one, dict) and str(one.get('type')).rpartition('.')[2] == 'CocoMetric'
    return one.get('ann_file') if is_coco else None


def annotated(images: Images) -> list[dict] | None:
    """The annotations of a COCO file, whose areas are those of masks where it has any; None if it is another's."""
    if not images.ann_file or not Path(images.ann_file).is_file():
        return None
    content = json.loads(Path(images.ann_file).read_bytes())
    number = {info.get('img_id'): place for place, info in enumerate(images.infos)}
    if not set(number) <= {image['id'] for image in content['images']}:
        return None
    place = {str(name): label for label, name in enumerate(images.classes)}
    label = {one['id']: place[one['name']] for one in content['categories'] if one['name'] in place}
    kept = [one for one in content['annotations'] if one['image_id'] in number and one['category_id'] in label]
    return [
        dict(
            id=new,
            image_id=number[one['image_id']],
            category_id=label[one['category_id']],
            bbox=one['bbox'],
            area=one.get('area', one['bbox'][2] * one['bbox'][3]),
            iscrowd=int(one.get('iscrowd', 0)),
        )
        for new, one in enumerate(kept, 1)
    ]


def loaded(images: Images) -> list[dict]:
    """Annotations of what a data set of any form loads; what it ignores are COCO's crowds."""
    boxes = [
        dict(image_id=number, corners=item['bbox'], label=item['bbox_label'], crowd=item.get('ignore_flag', 0))
        for number, info in enumerate(images.infos)
        for item in info['instances']
    ]
    return [
        dict(
            id=number,
            image_id=box['image_id'],
            category_id=box['label'],
            bbox=xywh(box['corners']),
            area=float(np.prod(xywh(box['corners'])[2:])),
            iscrowd=int(box['crowd']),
        )
        for number, box in enumerate(boxes, 1)
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
    _known: dict[tuple[int | None, int], Estimate] = field(default_factory=dict, repr=False)

    def ap(self, label: int | None = None, area: int = 0) -> Estimate:
        """AP of a class, or of all, in percent, with its draws; computed once."""
        if (label, area) not in self._known:
            matches = self.areas[area]
            chosen = matches if label is None else matches[label : label + 1]
            self._known[label, area] = Estimate.of(chosen, self.weights)
        return self._known[label, area]

    def by_image(self) -> np.ndarray:
        """AP on every image alone, in percent; NaN where there is no object."""
        return average_precision(self.areas[0], np.eye(self.weights.shape[1], dtype=np.int64))


@dataclass
class OverSeeds:
    """What the models of one run's seeds found on the same images: figures are means, draw by draw.

    Attributes:
        seeds: What each of them found.
    """

    seeds: Sequence[Found]

    @property
    def boxes(self) -> list[Boxes]:
        """The detections of the last seed, for pictures."""
        return self.seeds[-1].boxes

    def ap(self, label: int | None = None, area: int = 0) -> Estimate:
        """As that of :class:`Found`."""
        return Estimate.mean([one.ap(label, area) for one in self.seeds])

    def by_image(self) -> np.ndarray:
        """As that of :class:`Found`."""
        return np.mean([one.by_image() for one in self.seeds], axis=0)


def look(
    config: Config,
    checkpoint: str | Path,
    images: Images,
    device: str = 'cpu',
    kept: Kept | None = None,
    roles: Sequence[str] | None = None,
) -> dict[str, Found]:
    """What student and teacher, or the one model, find on the images.

    Args:
        config: The run's.
        checkpoint: What is run, unless detections were kept.
        images: The images.
        device: Where it runs.
        kept: Detections that the last validation left, of all the images; None runs the checkpoint.
        roles: Only these, or the first that was kept if none of them was; None for all.
    """
    boxes = kept.of(images.paths) if kept else None
    if boxes is None:
        wanted = roles or roles_of(config)
        boxes = {role: detect(asked(config, role), checkpoint, images.paths, 0.0, device) for role in wanted}
    elif roles:
        boxes = {role: boxes[role] for role in roles if role in boxes} or dict(list(boxes.items())[:1])
    truth, weights = images.truth(), draw(len(images.infos), DRAWS)
    found = {}
    for role, of_role in boxes.items():
        results = images.results(of_role)
        found[role] = Found(of_role, [truth.match(results, area) for area in range(len(AREAS))], weights)
    return found


def images_and_kept(
    config: Config, places: Mapping[str, Path], most: int
) -> tuple[Images, dict[str, Kept] | dict[str, None]]:
    """Validation images to compare runs on, and what each of them kept of all these; else None for every run.

    Args:
        config: That of the first run, whose images they are.
        places: Work directories by name.
        most: Most images if a model has to run; if none has to, at least :data:`MANY` are taken.
    """
    kept = {name: read_kept(place) for name, place in places.items()}
    if all(kept.values()):
        images = Images.of(config, max(most, MANY))
        if all(one.of(images.paths) is not None for one in kept.values()):
            return images, kept
    return Images.of(config, most), dict.fromkeys(places)


def asked(config: Config, role: str) -> Config:
    """A config whose model answers by this role."""
    changed = config.copy()
    if role != SINGLE_MODEL:
        changed.merge_from_dict({'model.semi_test_cfg': dict(config.model.get('semi_test_cfg') or {}, predict_on=role)})
    return changed


def roles_of(config: Config) -> tuple[str, ...]:
    """Whose detections a config's model gives."""
    return ROLES if 'semi_test_cfg' in config.model or config.model.get('type') == 'sssd.SED' else (SINGLE_MODEL,)


def extremes(found: Found | OverSeeds, count: int = 4) -> Mapping[str, list[int]]:
    """The images on which a model's AP is best and worst, of those that have objects."""
    values = found.by_image()
    order = [int(i) for i in np.argsort(values, kind='stable') if not np.isnan(values[i])]
    return dict(worst=order[:count], best=order[::-1][: min(count, max(0, len(order) - count))])


def rows_of(images: Images, chosen: Sequence[int], found: Mapping[str, Found | OverSeeds], score_thr: float) -> list:
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
