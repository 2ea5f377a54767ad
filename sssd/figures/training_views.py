"""What SED's training sees of unlabelled images: views, the teacher's scores, paired cells and their weight."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch import Tensor

from sssd.detectors.sed import SED, shrink
from sssd.errors import UserError
from sssd.losses.distances import kl_divergence, probabilities, score_distance
from sssd.losses.soft import SoftLoss, objectness
from sssd.views import DenseView
from sssd.views.dense import Level

BRANCHES = ('unsup_teacher', 'unsup_student')


@dataclass
class LevelWeights:
    """One level of X with its partner in X^.

    Attributes:
        stride: Pixels (w, h) of a cell in X.
        partner: The same of its partner in X^.
        weights: For each cell that pairs the sum of its rows' weights, (H, W); nan in the padding.
        step: How many cells of X lie from one that pairs to the next: 1, or 2**s on a single map.
    """

    stride: tuple[float, float]
    partner: tuple[float, float]
    weights: np.ndarray
    step: int = 1

    @property
    def spacing(self) -> tuple[float, float]:
        """Pixels (w, h) from one cell of X that pairs to the next."""
        return tuple(side * self.step for side in self.stride)


@dataclass
class TrainingView:
    """One unlabelled image as training sees it; pictures are (h, w, 3) in [0, 1], RGB, without padding.

    Attributes:
        weak: X', which the teacher sees.
        strong: X, which the student sees.
        scaled: X^, 1/2**s of X.
        heat: The teacher's largest score over classes, priors and levels at every pixel of X', (h, w).
        levels: Paired levels with the weights that the scale loss gives their rows.
    """

    weak: np.ndarray
    strong: np.ndarray
    scaled: np.ndarray
    heat: np.ndarray
    levels: list[LevelWeights] = field(default_factory=list)


def unlabelled_part(dataset):
    """The data set inside of a training set that gives the branches of unlabelled images.

    Raises:
        UserError: If none does.
    """
    parts = [dataset]
    while parts:
        part = parts.pop(0)
        inner = getattr(part, 'datasets', None)
        if inner is not None:
            parts += inner
        elif len(part) and isinstance(part[0]['inputs'], dict) and part[0]['inputs'].get(BRANCHES[1]) is not None:
            return part
    raise UserError(
        'train_dataloader.dataset has no data set whose pipeline gives the branches '
        f'{" and ".join(BRANCHES)}: name a config of SED with unlabelled images.'
    )


def choose_alike(dataset, count: int, seed: int) -> list[int]:
    """Indices of ``count`` images, drawn by ``seed``, all higher than wide or none, as in a batch of training."""
    order = np.random.default_rng(seed).permutation(len(dataset)).tolist()
    higher = [info['height'] > info['width'] for info in map(dataset.get_data_info, order)]
    return [index for index, portrait in zip(order, higher) if portrait == higher[0]][:count]


def unlabelled_batch(dataset, indices: Sequence[int]) -> dict:
    """Some images of an unlabelled data set, collated as a dataloader does, without the empty labelled branch."""
    batch = pseudo_collate([dataset[index] for index in indices])
    return {key: {branch: batch[key][branch] for branch in BRANCHES} for key in ('inputs', 'data_samples')}


@torch.no_grad()
def training_views(model: SED, view: DenseView, batch: dict, shift: int) -> list[TrainingView]:
    """What an iteration with this batch sees, image by image.

    Args:
        model: An SED.
        view: View of its dense head. The ``reweight`` of its scale loss gives the weights (Eq. 5), the mean of both
            directions; what a loss multiplies beyond that, as BalancedSoftLoss does by class, is not in them.
        batch: Both unlabelled branches, as :func:`unlabelled_batch` gives them.
        shift: s.
    """
    data = model.data_preprocessor(batch, True)
    inputs, samples = data['inputs'], data['data_samples']
    weak, strong = (inputs[branch] for branch in BRANCHES)
    scaled = shrink(strong, shift)
    full = model.run(model.student, strong, samples[BRANCHES[1]])
    small = model.run(model.student, scaled, samples[BRANCHES[1]], 2**shift)
    teacher = view.levels(model.run(model.teacher, weak, samples[BRANCHES[0]]))
    levels = paired_weights(view, model.scale_losses[view.name], full, small, shift)
    found = []
    for place, sample in enumerate(samples[BRANCHES[1]]):
        height, width = sample.img_shape[:2]
        pictures = [picture(model, images[place]) for images in (weak, strong, scaled)]
        part = (-(-height // 2**shift), -(-width // 2**shift))
        found.append(
            TrainingView(
                *(each[:height, :width] for each in pictures[:2]),
                pictures[2][: part[0], : part[1]],
                heat_of(teacher, place, (height, width)),
                [replace(level, weights=level.weights[place]) for level in levels],
            )
        )
    return found


def paired_weights(view: DenseView, loss: SoftLoss, full, small, shift: int) -> list[LevelWeights]:
    """Levels of X that have a partner, with the weights of all images, (B, H, W)."""
    levels, pairs, parts = view.levels(full), view.paired(full, small, shift), []
    for here, there in loss.reduced_together(*view.scale_pair(full, small, shift)):
        weight = sum(weight_of_rows(loss.reweight, *rows, here.valid) for rows in ((here, there), (there, here))) / 2
        weight = torch.where(here.valid, weight, weight.new_tensor(float('nan')))
        parts += weight.reshape(len(full.metas), -1).split(here.levels, 1)
    return [
        LevelWeights(
            levels[pairing.level].stride,
            partner.stride,
            part.reshape(len(part), *level.grid, -1).sum(-1).cpu().numpy(),
            pairing.step,
        )
        for (pairing, level, partner), part in zip(pairs, parts)
    ]


def weight_of_rows(reweight, target, pred, valid: Tensor) -> Tensor:
    """What Eq. 5, or another re-weighting, multiplies the divergence of each row with, (N,)."""
    divergence = kl_divergence(target.logits, pred.logits, target.activation)
    return reweight(divergence, score_distance(target.logits, pred.logits, target.activation), valid)


def heat_of(levels: Sequence[Level], place: int, size: tuple[int, int]) -> np.ndarray:
    """Largest score at every pixel of one image, (h, w), over classes, priors and levels."""
    heat = np.zeros(size)
    for level in levels:
        scores = objectness(probabilities(level.logits[place], 'sigmoid'), 'sigmoid')
        cells = scores.reshape(*level.grid, -1).amax(-1).cpu().numpy()
        rows, columns = (
            np.minimum((np.arange(side) // step).astype(int), most - 1)
            for side, step, most in zip(size, level.stride[::-1], level.grid)
        )
        heat = np.maximum(heat, cells[rows][:, columns])
    return heat


def picture(model: SED, image: Tensor) -> np.ndarray:
    """A normalised image (3, H, W) as (H, W, 3) in [0, 1], RGB."""
    preprocessor = getattr(model.data_preprocessor, 'data_preprocessor', model.data_preprocessor)
    if preprocessor._enable_normalize:
        image = image * preprocessor.std + preprocessor.mean
    image = image if preprocessor._channel_conversion else image.flip(0)  # images are loaded as BGR
    return (image / 255).clamp(0, 1).permute(1, 2, 0).cpu().numpy()
