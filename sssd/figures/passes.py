"""Labelled images through a detector at full size and at 1/2**s of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch import Tensor, nn

from sssd.detectors.sed import shrink
from sssd.errors import UserError
from sssd.views import DenseView, Pass, View


@dataclass
class ScalePasses:
    """One batch at two sizes.

    Attributes:
        full: Pass over X.
        small: Pass over X^.
        boxes: The objects of every image in X's pixels, (n, 4); those that COCO marks as crowds are left out.
    """

    full: Pass
    small: Pass
    boxes: list[Tensor]


def choose(dataset, count: int | None, seed: int) -> list[int]:
    """Indices of ``count`` images, drawn by ``seed`` and in order; of all if ``count`` is None or too large."""
    if count is None or count >= len(dataset):
        return list(range(len(dataset)))
    return sorted(np.random.default_rng(seed).choice(len(dataset), count, replace=False).tolist())


def batches(dataset, indices: Sequence[int], size: int) -> Iterator[tuple[dict, list[dict]]]:
    """Collated batches of so many images, as a dataloader gives them, each with what the data set knows of them."""
    for start in range(0, len(indices), size):
        part = indices[start : start + size]
        yield pseudo_collate([dataset[index] for index in part]), [dataset.get_data_info(index) for index in part]


@torch.no_grad()
def scale_passes(detector: nn.Module, batch: dict, infos: Sequence[dict], shift: int) -> ScalePasses:
    """Run a batch through a detector as it is, X, and shrunk by 2**shift, X^ (Sec. 3.1).

    Args:
        detector: A plain detector in evaluation mode; its data preprocessor pads to a multiple of 2**shift.
        batch: What a test pipeline gives, collated.
        infos: What the data set knows of the images, with ``instances`` in the pixels of the files.
        shift: s.

    Raises:
        UserError: If the sides of the padded batch are no multiple of 2**shift.
    """
    data = detector.data_preprocessor(batch, False)
    inputs, metas = data['inputs'], [sample.metainfo for sample in data['data_samples']]
    boxes = [objects(info, meta).to(inputs.device) for info, meta in zip(infos, metas)]
    small = pass_of(detector, shrink(inputs, shift), metas, 2**shift)
    return ScalePasses(pass_of(detector, inputs, metas), small, boxes)


def pass_of(detector: nn.Module, inputs: Tensor, metas: Sequence[dict], factor: int = 1) -> Pass:
    """Features of a batch that is 1/factor of the size that ``metas`` tell."""
    metas = [dict(meta, img_shape=tuple(side / factor for side in meta['img_shape'][:2])) for meta in metas]
    return Pass(detector, detector.extract_feat(inputs), metas, tuple(inputs.shape[-2:]))


def objects(info: dict, meta: dict) -> Tensor:
    """Boxes (n, 4) of an image's objects in the pixels of the network's input; crowds are left out."""
    kept = [item['bbox'] for item in info.get('instances', []) if not item.get('ignore_flag')]
    width, height = meta.get('scale_factor', (1.0, 1.0))
    return torch.tensor(kept, dtype=torch.float).reshape(-1, 4) * torch.tensor([width, height, width, height])


def dense_view(views: Sequence[View]) -> DenseView:
    """The view of a detector's dense head among its views: its only one, or its RPN.

    Raises:
        UserError: If there is none.
    """
    for view in views:
        if isinstance(view, DenseView):
            return view
    raise UserError(
        'only the anchors or points of a dense head have a place in the image and objects that are '
        f'assigned to it by rule, and the detector has none (its views: '
        f'{", ".join(view.name for view in views)}): take RetinaNet, FCOS, Faster R-CNN or the like.'
    )
