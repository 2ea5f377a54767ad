"""Rows of the second stage: given proposals, pooled from two passes."""

import torch
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.structures.bbox import bbox2roi
from torch import Tensor, nn

from sssd.losses.distances import SOFTMAX
from sssd.registry import VIEWS
from sssd.views.base import Pair, Pass, PredictionView, View, require
from sssd.views.dense import DenseView


@VIEWS.register_module()
class RoIView(View):
    """The second stage of Faster R-CNN on a joint proposal set (Sec. 3.1 and 3.2).

    The proposals of both passes, after NMS and top-k as in training, are concatenated and pooled from both,
    so that rows pair one to one.

    Args:
        rpn: Name of the dense head that proposes.
    """

    name = 'roi'

    def __init__(self, rpn: str = 'rpn_head') -> None:
        self.rpn = DenseView(rpn)

    def check(self, detector: nn.Module) -> None:
        """Refuse a second stage that is not one box head on pooled proposals."""
        head = getattr(detector, 'roi_head', None)
        name = type(head).__name__
        require(
            getattr(detector, self.rpn.head, None) is not None,
            f'RoIView: {type(detector).__name__} has no {self.rpn.head} to take proposals from.',
        )
        require(
            isinstance(head, StandardRoIHead) and isinstance(head.bbox_head, nn.Module),
            f'RoIView: {name} is no StandardRoIHead with one box head; cascades and sparse heads have no '
            'rows that pair over scales. Use StandardRoIHead.',
        )
        require(
            not getattr(head.bbox_head, 'custom_activation', False)
            and not getattr(head.bbox_head.loss_cls, 'use_sigmoid', False),
            f'RoIView: {name} scores its proposals by something else than a softmax over K+1 classes.',
        )

    def distill_pair(self, student: Pass, teacher: Pass) -> Pair:
        """The student's proposals on X joined with the teacher's on X', pooled from both."""
        proposals = join(self.propose(student), self.propose(teacher))
        return self.rows(student, proposals), self.rows(teacher, proposals)

    def scale_pair(self, full: Pass, small: Pass, shift: int) -> Pair:
        """Proposals of X joined with those of X^ scaled up by 2**shift; scaled down again for X^."""
        factor = 2**shift
        proposals = join(self.propose(full), [boxes * factor for boxes in self.propose(small)])
        return self.rows(full, proposals), self.rows(small, [boxes / factor for boxes in proposals])

    @torch.no_grad()
    def propose(self, run: Pass) -> list[Tensor]:
        """Proposals (n, 4) of each image in the pass's own pixels, as in training, made once."""
        return run.once('proposals', lambda: self._propose(run))

    def _propose(self, run: Pass) -> list[Tensor]:
        detector = run.detector
        config = detector.train_cfg.get('rpn_proposal', detector.test_cfg.rpn)
        results = getattr(detector, self.rpn.head).predict_by_feat(
            *self.rpn.outputs(run), batch_img_metas=run.metas, cfg=config
        )
        return [result.bboxes for result in results]

    def rows(self, run: Pass, proposals: list[Tensor]) -> PredictionView:
        """Scores (N, K+1) and boxes (N, K or 1, 4) of all proposals, pooled from this pass's features."""
        results = run.detector.roi_head._bbox_forward(run.feats, bbox2roi(proposals))
        logits = results['cls_score'].float()
        boxes = results['bbox_pred'].float()
        boxes = boxes.reshape(len(boxes), boxes.shape[1] // 4, 4)
        return PredictionView(logits, boxes, logits.new_ones(len(logits), dtype=torch.bool), SOFTMAX)


def join(first: list[Tensor], second: list[Tensor]) -> list[Tensor]:
    """Concatenate two proposal sets image by image."""
    return [torch.cat(pair) for pair in zip(first, second)]
