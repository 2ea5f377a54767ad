"""Which rows of a dense head are foreground, by the head's own label assignment."""

import inspect
from collections.abc import Sequence

import torch
from mmdet.models.dense_heads import AnchorHead, DDODHead, FCOSHead, FreeAnchorRetinaHead, PAAHead, TOODHead
from mmdet.models.task_modules.assigners import ATSSAssigner, MaxIoUAssigner, UniformAssigner
from mmdet.models.task_modules.prior_generators import anchor_inside_flags
from mmengine.structures import InstanceData
from torch import Tensor, nn

from sssd.errors import UserError

#: What a row is that no object is assigned to: background, or neither (between two thresholds, outside of the image).
BACKGROUND, NEITHER = 0, -1
#: Assigners that can do with anchors and labels.
LABELS_ALONE = (MaxIoUAssigner, ATSSAssigner, UniformAssigner)
#: Heads that have such an assigner and still let their predictions decide.
BY_PREDICTIONS = (DDODHead, FreeAnchorRetinaHead, PAAHead, TOODHead)


def assign(
    head: nn.Module, priors: Sequence[Tensor], boxes: Tensor, image: tuple[int, int] | None = None, assigner=None
) -> list[Tensor]:
    """Which object each cell and prior of a head is assigned to, before anything is sampled.

    Heads of anchors ask their ``assigner``; FCOS, which has none, is asked for its targets (``regress_ranges``). Where
    YOLOF's assigner looks at predicted boxes beside the anchors, it is shown the anchors, as if nothing were learnt.

    Args:
        head: A dense head of mmdet.
        priors: Anchors (H*W*A, 4) or points (H*W, 2) of its levels, as its ``prior_generator`` makes them.
        boxes: Objects (n, 4) in pixels.
        image: (h, w) of the image, for heads that leave out anchors beyond its border; None leaves none out.
        assigner: Asked in place of the head's own.

    Returns:
        For each level a tensor (H*W*A,) in the order of the rows: i + 1 for object i, 0 for background, -1 for neither.

    Raises:
        UserError: If the head assigns in another way, such as by what it predicts.
    """
    assigner = assigner or getattr(head, 'assigner', None)
    if isinstance(assigner, LABELS_ALONE) and not isinstance(head, BY_PREDICTIONS):
        return list(_by_assigner(head, assigner, priors, boxes, image).split([len(level) for level in priors]))
    if getattr(type(head), 'get_targets', None) is FCOSHead.get_targets:
        return _by_ranges(head, priors, boxes)
    if isinstance(head, AnchorHead) and assigner is None and head.train_cfg is None:
        raise UserError(
            f'the config has no train_cfg for {type(head).__name__}, as one that was exported has none, so how it '
            'assigns its targets is not known: name the config that it was trained with.'
        )
    how = f'by {type(assigner).__name__}' if assigner is not None else 'in a way of its own'
    how = 'by what it predicts' if isinstance(head, BY_PREDICTIONS) else how
    raise UserError(
        f'{type(head).__name__} assigns its targets {how}, so labels alone do not tell its foreground; use '
        'RetinaHead, RPNHead, ATSSHead, YOLOFHead or FCOSHead.'
    )


def _by_assigner(head: nn.Module, assigner, priors: Sequence[Tensor], boxes: Tensor, image) -> Tensor:
    """Assignment of anchors, all levels in one tensor."""
    anchors = torch.cat(priors)
    border = head.train_cfg.get('allowed_border', -1) if image is not None else -1
    inside = anchor_inside_flags(anchors, anchors.new_ones(len(anchors), dtype=torch.bool), image or (0, 0), border)
    levels = [int(part.sum()) for part in inside.split([len(level) for level in priors])]
    known = dict(
        pred_instances=InstanceData(priors=anchors[inside], decoder_priors=anchors[inside]),
        num_level_priors=levels,
        gt_instances=InstanceData(bboxes=boxes, labels=boxes.new_zeros(len(boxes), dtype=torch.long)),
    )
    found = anchors.new_full((len(anchors),), NEITHER, dtype=torch.long)
    wanted = inspect.signature(assigner.assign).parameters
    found[inside] = assigner.assign(**{name: value for name, value in known.items() if name in wanted}).gt_inds
    return found


def _by_ranges(head: nn.Module, points: Sequence[Tensor], boxes: Tensor) -> list[Tensor]:
    """Assignment of points: the head's targets for objects that each have a class of their own."""
    first = head.num_classes + 1  # num_classes itself is background
    labels = torch.arange(first, first + len(boxes), device=boxes.device)
    targets, _ = head.get_targets(list(points), [InstanceData(bboxes=boxes, labels=labels)])
    return [torch.where(level == head.num_classes, BACKGROUND, level - head.num_classes) for level in targets]
