"""Rows of the second stage: given proposals, pooled from two passes."""

import torch
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.structures.bbox import bbox2roi
from torch import Tensor, nn

from sssd.losses.distances import SOFTMAX
from sssd.registry import VIEWS
from sssd.views.base import Pair, Pass, PredictionView, View, require
from sssd.views.dense import DenseView
from sssd.views.pooling import quick_pooling


@VIEWS.register_module()
class RoIView(View):
    """The second stage of Faster R-CNN on a joint proposal set (Sec. 3.1 and 3.2).

    The proposals of both passes, after NMS and top-k as in training, are pooled from both, so that rows pair one to
    one: first those of one pass, image by image, then those of the other. Rows of a pass on its own proposals are
    made once for both losses, and together with the others of the first loss. On a CPU they are pooled by
    :mod:`sssd.views.pooling`.

    Args:
        rpn: Name of the dense head that proposes.
        max_rows: Most rows of an image in a pair, half of them on the best proposals of either pass; None takes all,
            up to twice ``rpn_proposal.max_per_img``. The supervised loss samples 512.

    Raises:
        UserError: If ``max_rows`` is no number above 1.
    """

    name = 'roi'

    def __init__(self, rpn: str = 'rpn_head', max_rows: int | None = None) -> None:
        require(
            max_rows is None or (isinstance(max_rows, int) and max_rows > 1),
            f'RoIView: max_rows is {max_rows!r}, but it counts rows, half of them of either pass, and is at least 2; '
            'leave it out to take all.',
        )
        self.rpn, self.max_rows = DenseView(rpn), max_rows

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
        layers = [getattr(head.bbox_head, layer, None) for layer in ('fc_cls', 'fc_reg')]
        require(
            all(isinstance(layer, nn.Linear) for layer in layers),
            f'RoIView: the {type(head.bbox_head).__name__} of {name} has no layers fc_cls and fc_reg that give each '
            'proposal its one row of scores and of boxes; use a head such as Shared2FCBBoxHead.',
        )

    def distill_pair(self, student: Pass, teacher: Pass) -> Pair:
        """The student's proposals on X and the teacher's on X', pooled from both."""
        return self._pair(student, teacher, 1)

    def scale_pair(self, full: Pass, small: Pass, shift: int) -> Pair:
        """Proposals of X and those of X^ scaled up by 2**shift; scaled down again for X^."""
        return self._pair(full, small, 2**shift)

    def _pair(self, first: Pass, second: Pass, factor: int) -> Pair:
        """Rows of two passes, the second of which is ``factor`` times smaller."""
        mine, theirs = self.propose(first), self.propose(second)
        own, other = self.own_and(first, [boxes * factor for boxes in theirs])
        their_own, their_other = self.own_and(second, [boxes / factor for boxes in mine])
        return joined(own, other), joined(their_other, their_own)

    def propose(self, run: Pass) -> list[Tensor]:
        """Proposals (n, 4) of each image in the pass's own pixels, as in training, made once and without gradient."""
        return run.once('proposals', lambda: self._propose(run))

    def _propose(self, run: Pass) -> list[Tensor]:
        detector = run.detector
        config = (detector.train_cfg or {}).get('rpn_proposal', detector.test_cfg.rpn)
        outputs = self.rpn.outputs(run)  # with their graph: a DenseView that comes later takes the same ones
        with torch.no_grad():
            head = getattr(detector, self.rpn.head)
            results = head.predict_by_feat(*outputs, batch_img_metas=run.metas, cfg=config)
        most = None if self.max_rows is None else self.max_rows // 2
        return [result.bboxes[:most] for result in results]  # by score, the best first

    def own_and(self, run: Pass, proposals: list[Tensor]) -> tuple[PredictionView, PredictionView]:
        """:meth:`rows` of a pass on its own proposals, made once, and on others."""
        made = []

        def both() -> PredictionView:
            made.extend(self.rows(run, self.propose(run), proposals))
            return made[0]

        own = run.once('rows', both)
        return own, (made[1] if made else self.rows(run, proposals)[0])

    def rows(self, run: Pass, *sets: list[Tensor]) -> list[PredictionView]:
        """For each set of proposals, scores (N, K+1) and boxes (N, K or 1, 4), pooled from this pass's features."""
        head = run.detector.roi_head
        with quick_pooling(head.bbox_roi_extractor):
            results = head._bbox_forward(run.feats, torch.cat([bbox2roi(proposals) for proposals in sets]))
        logits = results['cls_score'].float()
        boxes = results['bbox_pred'].float()
        boxes = boxes.reshape(len(boxes), boxes.shape[1] // 4, 4)
        valid = logits.new_ones(len(logits), dtype=torch.bool)
        counts = [sum(map(len, proposals)) for proposals in sets]
        return [
            PredictionView(*parts, SOFTMAX, class_boxes=not head.bbox_head.reg_class_agnostic)
            for parts in zip(*(part.split(counts) for part in (logits, boxes, valid)))
        ]


def joined(first: PredictionView, second: PredictionView) -> PredictionView:
    """Two sets of rows of one pass as one."""
    parts = [torch.cat((getattr(first, name), getattr(second, name))) for name in ('logits', 'boxes', 'valid')]
    return PredictionView(*parts, first.activation, class_boxes=first.class_boxes)
