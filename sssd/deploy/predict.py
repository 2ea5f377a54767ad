"""What a detector finds in images, by mmdet's DetInferencer, as the content of a COCO file."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import mmcv
import numpy as np
import torch
from matplotlib import rc_context
from mmdet.apis import DetInferencer
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData

from sssd.checkpoints.loading import read_checkpoint
from sssd.checks.checkpoint import compare, weights_of
from sssd.datasets.forms import Builder
from sssd.deploy.export import CONFIG, WEIGHTS
from sssd.deploy.literals import read_literals
from sssd.errors import UserError
from sssd.figures.letters import families, tell_missing
from sssd.images import EXTENSIONS, natural_key
from sssd.listing import list_folder
from sssd.silence import silence

#: Boxes thinner than this many pixels are none.
LEAST = 0.5
#: What OpenCV writes wherever it is built; drawings of other images are JPEGs.
DRAWN = ('.jpg', '.jpeg', '.png')


class Found(NamedTuple):
    """What came of an image: detections in its own pixels, or why there are none."""

    path: str
    sample: DetDataSample | None
    trouble: str = ''


def load_exported(folder: str | Path, device: str = 'cpu') -> DetInferencer:
    """The detector of an exported folder; its config is read as values, and not run.

    Raises:
        UserError: If the folder is none, or its weights do not fit its config.
    """
    config, weights = Path(folder, CONFIG), Path(folder, WEIGHTS)
    missing = [path.name for path in (config, weights) if not path.is_file()]
    if missing:
        raise UserError(
            f'{folder} has no {" and no ".join(missing)}: name a folder that `sssd export` wrote, or a config together '
            'with --checkpoint.'
        )
    values = read_literals(config.read_text('utf-8'), f'config file {config}')
    with silence():
        inferencer = DetInferencer(Config(values), str(weights), device=device, show_progress=False)
        mismatch = compare(inferencer.model, weights_of(read_checkpoint(weights)))
    if mismatch:
        raise UserError(f'{weights} is not of the detector in {config}: {mismatch}; export it again.')
    return inferencer


def meta_of(folder: str | Path) -> dict:
    """What the weights of an exported folder say of themselves."""
    return read_checkpoint(Path(folder, WEIGHTS)).get('meta') or {}


def version_of(folder: str | Path) -> str:
    """What a label editor shows as the model: the folder's name, the part and the iteration."""
    meta = meta_of(folder)
    step = meta.get('iter')
    words = (Path(folder).resolve().name, meta.get('part'), None if step is None else f'iteration {step}')
    return ', '.join(str(word) for word in words if word)


def images_of(places: Sequence[str]) -> list[str]:
    """The images that files and folders name, each once, absolute, in natural order within a folder.

    Raises:
        UserError: If one of them is not there, or there is no image at all.
    """
    found: dict[str, None] = {}
    for place in places:
        if os.path.isdir(place):
            inner = (os.path.abspath(path) for path in list_folder(place))
            found.update(dict.fromkeys(sorted(inner, key=natural_key)))
        elif os.path.isfile(place):
            found[os.path.abspath(place)] = None
        else:
            raise UserError(f'{place} is no file and no folder: name images, or folders of them.')
    if not found:
        raise UserError(f'there is no image in {", ".join(places)}: looked for {", ".join(EXTENSIONS)}.')
    return list(found)


def detect(inferencer: DetInferencer, paths: Sequence[str], batch_size: int = 1) -> Iterator[Found]:
    """What is found in each image, in their order; one that cannot be read comes with the reason.

    Args:
        inferencer: The detector.
        paths: Image files.
        batch_size: Images at a time.
    """
    for start in range(0, len(paths), batch_size):
        packed, told = [], {}
        for path in paths[start : start + batch_size]:
            try:
                packed.append((path, inferencer.pipeline(path)))
            except (OSError, ValueError, AssertionError, AttributeError, TypeError, cv2.error) as error:
                told[path] = Found(path, None, _reason(path, error))
        if packed:
            _, data = inferencer.collate_fn(packed)
            samples = inferencer.forward(data)
            told.update((path, Found(path, sample)) for (path, _), sample in zip(packed, samples))
        yield from (told[path] for path in paths[start : start + batch_size])


def _reason(path: str, error: Exception) -> str:
    """Why an image cannot be read, in a few words."""
    if not os.path.isfile(path):
        return 'it does not exist any more'
    if os.path.getsize(path) == 0:
        return 'the file is empty'
    if isinstance(error, PermissionError):
        return 'no permission to read it'
    return 'it cannot be decoded, the file is broken or no image'


def above(found: InstanceData, threshold: float | Sequence[float]) -> InstanceData:
    """The detections whose score is at least the threshold, or that of their class."""
    if isinstance(threshold, (int, float)):
        return found[found.scores >= threshold]
    return found[found.scores >= found.scores.new_tensor(threshold)[found.labels]]


def rounded(score: float) -> float:
    """A score as it is written."""
    return round(score, 4)


def floored(score: float) -> float:
    """The highest number of four digits with which :func:`above` takes a detection of this score."""
    number = round(score * 1e4)
    return (number if np.float32(number / 1e4) <= np.float32(score) else number - 1) / 1e4


class Collected:
    """Puts detections together as the content of a COCO file, each with its ``score``.

    Args:
        classes: Names of the classes.
        root: The folder that the images' names are relative to.
        threshold: The least score, of all classes or of each.
        shorten: Makes of a score the one that is put down, of four digits.
    """

    def __init__(
        self,
        classes: Sequence[str],
        root: str,
        threshold: float | Sequence[float],
        shorten: Callable[[float], float] = rounded,
    ) -> None:
        self.classes, self.root, self.threshold, self.shorten = list(classes), root, threshold, shorten
        self.built = Builder(list(classes))

    def add(self, path: str, sample: DetDataSample) -> None:
        """The detections of one image, cut at its borders."""
        height, width = sample.ori_shape[:2]
        self.built.add_image(Path(os.path.relpath(path, self.root)).as_posix(), int(width), int(height))
        found = above(sample.pred_instances.cpu(), self.threshold)
        boxes = found.bboxes if isinstance(found.bboxes, torch.Tensor) else found.bboxes.tensor
        for (x1, y1, x2, y2), label, score in zip(boxes.tolist(), found.labels.tolist(), found.scores.tolist()):
            x1, x2 = (min(max(side, 0.0), float(width)) for side in (x1, x2))
            y1, y2 = (min(max(side, 0.0), float(height)) for side in (y1, y2))
            if x2 - x1 >= LEAST and y2 - y1 >= LEAST:
                self.built.add_box(self.classes[label], (x1, y1, x2 - x1, y2 - y1), score=self.shorten(score))

    def coco(self) -> dict:
        """All of it."""
        return self.built.coco()


def root_of(places: Sequence[str], paths: Sequence[str]) -> str:
    """The folder that images are named from: the one that was given, else the deepest one that all are below.

    Args:
        places: What was given to :func:`images_of`.
        paths: What it has found there.
    """
    if len(places) == 1 and os.path.isdir(places[0]):
        return os.path.abspath(places[0])
    return os.path.commonpath([os.path.dirname(path) for path in paths])


def draw(inferencer: DetInferencer, found: Found, out: Path, threshold: float | Sequence[float]) -> Path:
    """Write an image with the boxes of at least ``threshold`` by mmdet's visualizer; returns the file."""
    sample = DetDataSample(pred_instances=above(found.sample.pred_instances, threshold))
    if out.suffix.lower() not in DRAWN:
        out = out.with_name(f'{out.name}.jpg')
    image = mmcv.imread(found.path, channel_order='rgb')
    tell_missing(' '.join(inferencer.model.dataset_meta['classes']))
    with silence(), rc_context({'font.sans-serif': list(families())}):
        inferencer.visualizer.add_datasample(
            out.stem, image, sample, draw_gt=False, pred_score_thr=0.0, out_file=str(out)
        )
    return out
