"""What the pictures show: one labelled and one unlabelled image through a detector, as a step of training sees them."""

import contextlib
import copy
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed
from torch import Tensor

from sssd.cli.views import build_model
from sssd.detectors import SED
from sssd.detectors.sed import shrink
from sssd.figures.assignment import assign
from sssd.figures.passes import dense_view
from sssd.figures.training_views import BRANCHES, choose_alike, picture, unlabelled_batch, unlabelled_part
from sssd.guides import BoxLabels, box_labels
from sssd.losses.distances import kl_divergence, probabilities
from sssd.losses.soft import objectness
from sssd.views import DenseView, Pass
from sssd.views.dense import Level

#: s of the pictures.
SHIFT = 1


@dataclass
class Scene:
    """One labelled and one unlabelled image; pictures are (h, w, 3) in [0, 1] without padding.

    Attributes:
        model: The SED, with a guidance.
        view: View of its dense head.
        labelled, weak, strong, scaled: The four pictures.
        boxes: Boxes (n, 4) of the labelled image in its pixels.
        labels: The same as the guide takes them.
        passes: The student's pass over the labelled image, the teacher's over X', the student's over X and X^.
    """

    model: SED
    view: DenseView
    labelled: np.ndarray
    weak: np.ndarray
    strong: np.ndarray
    scaled: np.ndarray
    boxes: np.ndarray
    labels: BoxLabels
    passes: dict[str, Pass]

    def levels(self, name: str) -> list[Level]:
        """The head's rows of one of the passes, level by level."""
        with torch.no_grad():
            return self.view.levels(self.passes[name])

    def pairs(self) -> list[tuple[Level, Level]]:
        """Rows of the levels of X and of X^ that Eq. 2 pairs."""
        with torch.no_grad():
            found = self.view.paired(self.passes['strong'], self.passes['scaled'], SHIFT)
        return [(here, there) for _, here, there in found]

    def targets(self) -> list[np.ndarray]:
        """Of each level how many anchors of a cell are assigned to an object of the labelled image, (h, w)."""
        run, levels = self.passes['labelled'], self.levels('labelled')
        head = getattr(run.detector, self.view.head)
        priors = head.prior_generator.grid_priors([level.grid for level in levels], device='cpu')
        found = assign(head, priors, torch.as_tensor(self.boxes, dtype=torch.float), self.labelled.shape[:2])
        return [(level > 0).reshape(*shape.grid, -1).sum(-1).numpy() for level, shape in zip(found, levels)]


def load(config: str | Path, checkpoint: str | Path | None = None, seed: int = 0) -> Scene:
    """The scene of a config of an SED with guidance.

    Args:
        config: Its file.
        checkpoint: Its weights; random ones if None.
        seed: Which images, and how they are augmented.
    """
    cfg = Config.fromfile(config)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    set_random_seed(seed)
    model = build_model(cfg, checkpoint and str(checkpoint)).eval()
    with contextlib.redirect_stdout(io.StringIO()):
        dataset = DATASETS.build(copy.deepcopy(cfg.train_dataloader.dataset))
    set_random_seed(seed)
    unlabelled = unlabelled_part(dataset)
    batch = unlabelled_batch(unlabelled, choose_alike(unlabelled, 1, seed))
    labelled = labelled_batch(dataset, seed)
    inputs = {**batch['inputs'], **labelled['inputs']}
    samples = {**batch['data_samples'], **labelled['data_samples']}
    return seen(model, dict(inputs=inputs, data_samples=samples))


def labelled_batch(dataset, seed: int) -> dict:
    """One image of the labelled part of a training set, collated."""
    part = dataset.datasets[0]
    index = choose_alike(part, 1, seed)
    batch = pseudo_collate([part[place] for place in index])
    return {key: dict(sup=batch[key]['sup']) for key in ('inputs', 'data_samples')}


@torch.no_grad()
def seen(model: SED, batch: dict) -> Scene:
    """The scene of a batch of one labelled and one unlabelled image, in mmdet's three branches."""
    data = model.data_preprocessor(batch, True)
    inputs, samples = data['inputs'], data['data_samples']
    weak, strong = (inputs[branch] for branch in BRANCHES)
    passes = dict(
        labelled=model.run(model.student, inputs['sup'], samples['sup']),
        weak=model.run(model.teacher, weak, samples[BRANCHES[0]]),
        strong=model.run(model.student, strong, samples[BRANCHES[1]]),
        scaled=model.run(model.student, shrink(strong, SHIFT), samples[BRANCHES[1]], 2**SHIFT),
    )

    def shown(images: Tensor, sample, factor: int = 1) -> np.ndarray:
        height, width = (-(-side // factor) for side in sample.img_shape[:2])
        return picture(model, images[0])[:height, :width]

    return Scene(
        model,
        dense_view(model.views),
        shown(inputs['sup'], samples['sup'][0]),
        shown(weak, samples[BRANCHES[0]][0]),
        shown(strong, samples[BRANCHES[1]][0]),
        shown(shrink(strong, SHIFT), samples[BRANCHES[1]][0], 2**SHIFT),
        samples['sup'][0].gt_instances.bboxes.numpy(),
        box_labels(samples['sup']),
        passes,
    )


def score(level: Level) -> np.ndarray:
    """The largest score of a cell over classes and anchors, (h, w); nan in the padding."""
    return per_cell(level, objectness(probabilities(level.logits[0], 'sigmoid'), 'sigmoid'), 'max')


def divergence(target: Level, pred: Level) -> np.ndarray:
    """KL(target || pred) of a cell, summed over its anchors, (h, w); nan in the padding."""
    return per_cell(pred, kl_divergence(target.logits[0], pred.logits[0], 'sigmoid'), 'sum')


def per_cell(level: Level, rows: Tensor, how: str) -> np.ndarray:
    """Values of the rows of one image (HWA,) as one of each cell, (h, w); nan in the padding."""
    cells = rows.detach().reshape(*level.grid, -1)
    cells = cells.amax(-1) if how == 'max' else cells.sum(-1)
    valid = level.valid[0].reshape(*level.grid, -1)[..., 0]
    return torch.where(valid, cells, torch.nan).cpu().numpy()
