"""Detections of several models on the same validation images, side by side."""

import copy
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke
from mmcv import imread
from mmdet.apis import inference_detector, init_detector
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from sssd.checks.labels import predicts_on_guide
from sssd.errors import UserError, shorten
from sssd.figures.box_labels import Placer
from sssd.figures.style import WIDTH, colour, dashes, legend_below, new_figure, plain, plt, styled
from sssd.places import read_config
from sssd.progress import tracked
from sssd.silence import silence

GROUND_TRUTH = 'ground truth'
#: A light rim, so that a box shows on any ground.
HALO = [Stroke(linewidth=3, foreground='white', alpha=0.7), Normal()]
LINE = 4  # panels side by side, unless there are more titles
MANY = 3  # objects from which on an image is as good as any other


@dataclass
class Boxes:
    """Boxes on one image: corners (n, 4), classes (n,), scores (n,) or none."""

    corners: np.ndarray
    labels: np.ndarray
    scores: np.ndarray | None = None


@dataclass
class Row:
    """An image, what is on it, and what each model found."""

    path: str
    truth: Boxes
    found: list[Boxes] = field(default_factory=list)


def contact_sheet(
    models: Mapping[str, tuple[str | Path, str | Path]],
    out: str | Path,
    *,
    num_images: int = 6,
    seed: int = 0,
    score_thr: float = 0.3,
    device: str = 'cpu',
) -> Path:
    """Write the contact sheet of some models.

    A model with student and teacher is shown as its ``semi_test_cfg`` says,
    by default with the teacher's detections.

    Args:
        models: For each column's title a config and a checkpoint; the images
            are those of the first one's ``val_dataloader``.
        out: The PNG to write.
        num_images: How many images, one per row.
        seed: Which ones.
        score_thr: Detections below this score are not drawn.
        device: Where the models run.

    Returns:
        The path of the figure.
    """
    configs = {title: read_config(config, 'config', 'name an existing file') for title, (config, _) in models.items()}
    dataset = validation_set(next(iter(configs.values())))
    refuse_other_classes({title: validation_set(config).metainfo['classes'] for title, config in configs.items()})
    rows = [ground_truth(dataset.get_data_info(i)) for i in choose_images(dataset, num_images, seed)]
    for title, config in configs.items():
        checkpoint = models[title][1]
        found = detect(config, checkpoint, [row.path for row in rows], score_thr, device)
        for row, boxes in zip(rows, found):
            row.found.append(boxes)
    return draw_rows(rows, [GROUND_TRUTH, *models], dataset.metainfo['classes'], Path(out), score_thr)


def refuse_other_classes(classes: Mapping[str, Sequence[str]]) -> None:
    """Refuse runs whose classes are not those of the first one, in the same order.

    Raises:
        UserError: Naming both.
    """
    (first, wanted), *others = classes.items()
    for name, found in others:
        if list(found) != list(wanted):
            raise UserError(
                f'{name} has the classes {shorten(list(found))} and {first} {shorten(list(wanted))}: '
                'compare runs of the same classes, in the same order.'
            )


def choose_images(dataset, count: int, seed: int) -> list[int]:
    """Choose images by seed; ones with several objects come first.

    Args:
        dataset: A data set of mmdet.
        count: How many images.
        seed: The same seed chooses the same images.

    Returns:
        Their indices, in order.
    """
    order = np.random.default_rng(seed).permutation(len(dataset)).tolist()
    objects = {i: len(dataset.get_data_info(i)['instances']) for i in order}
    order.sort(key=lambda i: -min(objects[i], MANY))  # stable
    return sorted(order[:count])


def detect(config: Config, checkpoint: str | Path, paths: Sequence[str], score_thr: float, device: str) -> list[Boxes]:
    """What a trained model finds on some images."""
    if predicts_on_guide(config.model):
        raise UserError("a contact sheet gives no labels to a model with predict_on='guide': leave that out")
    if not Path(checkpoint).is_file():
        raise UserError(f'there is no checkpoint {checkpoint}: train the model first, or name another file')
    with silence(), torch.no_grad():
        # Options, though empty, keep init_detector from asking the model
        # for a backbone, which one with student and teacher has not.
        model = init_detector(config, str(checkpoint), device=device, cfg_options={})
        told = tracked(paths, f'detecting with {Path(checkpoint).name}', len(paths))
        samples = [inference_detector(model, path) for path in told]
    return [_detections(sample.pred_instances, score_thr) for sample in samples]


def _detections(instances, score_thr: float) -> Boxes:
    instances = instances[instances.scores >= score_thr].cpu()
    return Boxes(instances.bboxes.numpy(), instances.labels.numpy(), instances.scores.numpy())


def validation_set(config: Config):
    """A config's validation images, without loading one.

    Raises:
        UserError: If their file is not there, or cannot be read.
    """
    init_default_scope(config.get('default_scope', 'mmdet'))
    settings = copy.deepcopy(config.val_dataloader.dataset)
    settings.pipeline = []  # only the annotations are read
    try:
        with silence():
            return DATASETS.build(settings)
    except OSError as error:
        raise UserError(
            f'the validation images of {config.filename} cannot be read ({error}): start where the training was '
            'started, or put them back.'
        ) from error


def ground_truth(info: dict) -> Row:
    """An image of mmdet and its objects, as a row without detections."""
    instances = info['instances']
    corners = np.array([item['bbox'] for item in instances]).reshape(-1, 4)
    labels = np.array([item['bbox_label'] for item in instances], dtype=int)
    return Row(info['img_path'], Boxes(corners, labels))


def draw_rows(rows: Sequence[Row], titles: Sequence[str], classes: Sequence[str], out: Path, score_thr: float) -> Path:
    """Draw rows of images, one panel for each title: the objects first, then what each model found."""
    images = [imread(row.path, channel_order='rgb') for row in rows]
    shown = [boxes for row in rows for boxes in (row.truth, *row.found)]
    place = {label: i for i, label in enumerate(sorted({int(label) for boxes in shown for label in boxes.labels}))}
    with styled():
        figure, grid = _layout([image.shape[0] / image.shape[1] for image in images], len(titles))
        for row, image, line in zip(rows, images, grid):
            for axes, boxes in zip(line, [row.truth, *row.found]):
                _draw_boxes(axes, image, boxes, place)
        beside = _beside(len(titles), len(rows))
        letters = int(95 / (len(titles) * beside))
        for line in grid[:beside]:
            for axes, title in zip(line, titles):
                axes.set_title('\n'.join(textwrap.wrap(plain(title), letters)))
        handles = [
            Line2D([], [], color=colour(number), linestyle=dashes(number), linewidth=4, label=plain(classes[label]))
            for label, number in place.items()
        ]
        legend_below(figure, handles, title=f'detections with a score of {score_thr:g} or more')
        placer = Placer(figure)
        for row, line in zip(rows, grid):
            for axes, boxes in zip(line[1:], row.found):
                _write_scores(placer, axes, boxes, place)
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out)
        plt.close(figure)
    return out


def _beside(titles: int, images: int) -> int:
    """How many images stand side by side: with few models several, so that a sheet is not very high."""
    return max(1, min(LINE // titles, images))


def _layout(ratios: Sequence[float], titles: int) -> tuple[Figure, list[list[Axes]]]:
    """A figure with a panel for each image, of so many times its width in height, and each title."""
    beside = _beside(titles, len(ratios))
    heights = [max(ratios[start : start + beside]) for start in range(0, len(ratios), beside)]
    figure = new_figure(0.97 * WIDTH / (titles * beside) * sum(heights) + 0.6)
    grid = figure.add_gridspec(len(heights), beside * titles, height_ratios=heights)
    panels = [
        [figure.add_subplot(grid[i // beside, i % beside * titles + title]) for title in range(titles)]
        for i in range(len(ratios))
    ]
    return figure, panels


def _draw_boxes(axes: Axes, image: np.ndarray, boxes: Boxes, place: Mapping[int, int]) -> None:
    """An image and its boxes in the colours of their classes."""
    axes.imshow(image, interpolation='antialiased')
    axes.set_axis_off()
    for (x1, y1, x2, y2), label in zip(boxes.corners, boxes.labels):
        number = place[int(label)]
        axes.add_patch(
            Rectangle(
                (x1, y1),
                x2 - x1,
                y2 - y1,
                fill=False,
                linewidth=1.6,
                linestyle=dashes(number),
                edgecolor=colour(number),
                path_effects=HALO,
            )
        )


def _write_scores(placer: Placer, axes: Axes, boxes: Boxes, place: Mapping[int, int]) -> None:
    """Scores at the boxes, the highest first; one that would touch another is left out."""
    for index in np.argsort(-boxes.scores, kind='stable'):
        text = f'{boxes.scores[index]:.2f}'
        placer.label(axes, text, boxes.corners[index], colour(place[int(boxes.labels[index])]), fontsize=7)
