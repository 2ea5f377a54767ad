"""Rows of a detection transformer: its queries, matched between two passes."""

import inspect
import math
from collections.abc import Sequence

import numpy as np
import torch
from mmdet.structures import DetDataSample, SampleList
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_overlaps
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from sssd.losses.distances import SIGMOID, SOFTMAX, js_divergence
from sssd.registry import VIEWS
from sssd.views.base import Pair, Pass, PredictionView, View, require, training_flag

#: Queries of the first pass that are compared with all of the second at once; bounds the memory of the costs.
CHUNK = 128


@VIEWS.register_module()
class QueryView(View):
    """The queries of DETR and its kin, paired by a minimum-cost matching (Sec. 4.3, "How to Extend SED").

    ``L_match = D_JS(p1, p2) + lambda L_GIoU(b1, b2)``, and the Hungarian algorithm over all queries of an image, those
    that see no object included. Boxes are (cx, cy, w, h) over the size of the unpadded image, so they are free of scale
    and every row is valid. Scores are a softmax over K+1 classes (DETR) or K Bernoullis (Deformable DETR, DINO), as
    the head's own loss takes them.

    The transformer gives what it gives in evaluation: the matching queries alone, none of denoising or of auxiliary
    branches. So no labels are asked for; dropout stays as it is.

    Args:
        lambda_: Weight of the GIoU loss in the matching cost. The paper does not give it.
        layers: ``'last'``, the decoder layer that predicts, or ``'all'``: each is matched with its own kind.
    """

    name = 'query'

    def __init__(self, lambda_: float = 1.0, layers: str = 'last') -> None:
        require(layers in ('last', 'all'), f'QueryView: layers is {layers!r}; use last (the default) or all.')
        require(lambda_ >= 0, f'QueryView: lambda_ is {lambda_}, but it weights a cost and must be at least 0.')
        self.lambda_, self.layers = lambda_, layers

    def check(self, detector: nn.Module) -> None:
        """Refuse a detector that has no queries, or whose queries need more than the image."""
        name, transform = type(detector).__name__, getattr(detector, 'forward_transformer', None)
        require(
            transform is not None,
            f'QueryView: {name} has no forward_transformer, so it has no queries to match; '
            'leave `views` out and they are chosen by the heads that exist.',
        )
        needed = [
            key for key, value in inspect.signature(transform).parameters.items() if value.default is value.empty
        ][1:]
        require(
            not needed,
            f'QueryView: the transformer of {name} needs {", ".join(needed)} besides the features of '
            'the image, and unlabelled images have none; use a detector such as DETR, DeformableDETR or DINO.',
        )
        head = getattr(detector, 'bbox_head', None)
        require(
            hasattr(getattr(head, 'loss_cls', None), 'use_sigmoid'),
            f'QueryView: {type(head).__name__} does not tell by loss_cls.use_sigmoid how it scores its queries; '
            'use a DETRHead.',
        )

    def distill_pair(self, student: Pass, teacher: Pass) -> Pair:
        """Queries of the student on X and of the teacher on X', matched."""
        return self._pair(student, teacher)

    def scale_pair(self, full: Pass, small: Pass, shift: int) -> Pair:
        """Queries of X and of X^, matched."""
        return self._pair(full, small)

    def queries(self, run: Pass) -> tuple[Tensor, Tensor]:
        """Scores (L, B, Q, C) and boxes (L, B, Q, 4) of the L layers in use, made once."""
        scores, boxes = run.once('queries', lambda: forward_queries(run))
        first = 0 if self.layers == 'all' else -1
        return scores[first:], boxes[first:]

    def _pair(self, first: Pass, second: Pass) -> Pair:
        activation = SIGMOID if first.detector.bbox_head.loss_cls.use_sigmoid else SOFTMAX
        sides = [[part.flatten(0, 1).float() for part in self.queries(run)] for run in (first, second)]
        matched = self.match(*sides, activation)
        return tuple(rows(*side, order, activation) for side, order in zip(sides, matched.unbind(1)))

    @torch.no_grad()
    def match(self, first: Sequence[Tensor], second: Sequence[Tensor], activation: str) -> Tensor:
        """Which queries of M images pair: indices (M, 2, n), n the smaller number of queries.

        The Hungarian algorithm runs on the CPU, so the device is waited for, once for all images.

        Args:
            first: Logits (M, Q, C) and boxes (M, Q, 4) as (cx, cy, w, h).
            second: The same of the other pass.
            activation: ``'sigmoid'`` or ``'softmax'``.
        """
        costs = [matching_cost(*image, activation, self.lambda_) for image in zip(*first, *second)]
        # A prediction that is not finite shall be seen in the loss, not end the run here.
        tables = torch.stack(costs).nan_to_num().cpu().numpy()
        pairs = np.stack([np.stack(linear_sum_assignment(table)) for table in tables])
        return torch.from_numpy(pairs).to(first[0].device, non_blocking=True)


def matching_cost(
    logits1: Tensor, boxes1: Tensor, logits2: Tensor, boxes2: Tensor, activation: str, weight: float
) -> Tensor:
    """``D_JS(p1, p2) + lambda L_GIoU(b1, b2)`` of all pairs of queries (Sec. 4.3): (Q1, Q2)."""
    divergence = torch.cat([js_divergence(some[:, None], logits2, activation) for some in logits1.split(CHUNK)])
    giou = bbox_overlaps(bbox_cxcywh_to_xyxy(boxes1), bbox_cxcywh_to_xyxy(boxes2), mode='giou')
    return divergence + weight * (1 - giou)


def rows(logits: Tensor, boxes: Tensor, order: Tensor, activation: str) -> PredictionView:
    """Queries (M, Q, C) and (M, Q, 4) in an order (M, n) as M n rows."""
    logits, boxes = (part.take_along_dim(order[..., None], 1).flatten(0, 1) for part in (logits, boxes))
    return PredictionView(logits, boxes[:, None], logits.new_ones(len(logits), dtype=torch.bool), activation)


def forward_queries(run: Pass) -> tuple[Tensor, Tensor]:
    """Scores and boxes of all queries of a pass, in the form that mmdet's detection transformers evaluate.

    Own training flags alone are lowered, of the detector and of its parts: they choose the form, and the layers below
    with their dropout do not see it.

    Raises:
        UserError: If a two-stage detector has fewer feature points to choose from than queries.
    """
    detector = run.detector
    if getattr(detector, 'as_two_stage', False):
        points = sum(level.shape[-2] * level.shape[-1] for level in run.feats)
        require(
            points >= detector.num_queries,
            f'QueryView: a batch of {run.batch_shape} pixels has {points} feature '
            f'points, too few for the {detector.num_queries} proposals of {type(detector).__name__}; lower '
            'max_shift or num_queries, or train on larger images.',
        )
    with training_flag([detector, *detector.children()], False):
        return detector.bbox_head(**detector.forward_transformer(run.feats, samples_of(run)))


def samples_of(run: Pass) -> SampleList:
    """Data samples without labels, from which a transformer masks the padding, in the pass's own pixels.

    A pixel of X^ that holds a part of the image is no padding.
    """
    return [
        DetDataSample(
            metainfo={
                **meta,
                'img_shape': tuple(math.ceil(side) for side in meta['img_shape'][:2]),
                'batch_input_shape': run.batch_shape,
            }
        )
        for meta in run.metas
    ]
