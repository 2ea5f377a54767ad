"""Hard pseudo-labels beside the soft targets of Eq. 3."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from mmdet.structures import DetDataSample, SampleList
from mmdet.structures.bbox import bbox_overlaps
from mmengine.structures import InstanceData
from torch import Tensor, nn

from sssd.detectors.shared_targets import on_features
from sssd.detectors.sizes import found_at_sizes
from sssd.detectors.sure_score import SureScore
from sssd.detectors.whole_losses import whole_losses
from sssd.errors import UserError
from sssd.losses import sum_of
from sssd.views import Pass

#: How terms of classes end; YOLOX's of whether there is an object, a part of its score, is one as well.
CLASSES = ('cls', 'obj')


class PseudoLabels(nn.Module):
    """A student's own losses on the strong view, with the boxes that its teacher is sure of on the weak one as labels.

    A soft target repeats how unsure the teacher is. A box that it is sure of says that there is an object, and where:
    whatever proposal or anchor overlaps it is taught that, whether the teacher's score there is high or not. As
    mmdet's SemiBaseDetector has it, for every detector, except that both views are of one geometry, that features are
    those of SED's passes, and that nothing is said where the teacher does not know: an image in which it is sure of
    nothing takes no part, and what lies in a box between the two scores is neither object nor background, for
    assigners that can ignore (those of anchors and proposals).

    Args:
        detector: The student.
        score_thr: Least score of a box. By default 0.7 where there is a second stage, whose softmax is surer of
            itself, else 0.4. Or a range such as ``(0.3, 0.7)``: the score in it with which there are 0.6 of the boxes
            that the labelled images have (:class:`~sssd.detectors.SureScore`), which an unsure teacher needs.
        found: With a range, the part of these boxes that is wanted.
        ignore_thr: Least score of a box to be ignored, at most ``score_thr``, which ignores none; with a range, at most
            a third of it.
        min_size: Least width and height of a box, in pixels of the strong view.
        box_weight: Factor on the terms of boxes, that is, all but those of classes. 0: a score tells that there is an
            object and not how well the box fits, and boxes learnt from such ones fit less well.
        sizes: Further sizes at which the teacher sees the weak view, as factors, such as ``[0.75, 1.33]``: a score is
            then the mean over the looks, a box the mean of those that agree
            (:func:`~sssd.detectors.sizes.agreed`). So both scores ask for more: what one look in three alone finds
            has at most a third. Another pass of the teacher for each, whose memory grows with the size. Sizes within
            the jitter that it is trained with are those it knows.
        mirror: Whether it sees them mirrored.

    Raises:
        UserError: If a score is none, a range is not one, ``found`` or the weight is too small, a size is none,
            ``mirror`` is neither True nor False, or the detector has masks, which boxes do not teach.
    """

    def __init__(
        self,
        detector: nn.Module,
        score_thr: float | Sequence[float] | None = None,
        found: float = 0.6,
        ignore_thr: float = 0.2,
        min_size: float = 1.0,
        box_weight: float = 0.0,
        sizes: Sequence[float] = (),
        mirror: bool = True,
    ) -> None:
        super().__init__()
        if score_thr is None:
            score_thr = 0.4 if getattr(detector, 'roi_head', None) is None else 0.7
        ranged = isinstance(score_thr, (list, tuple))
        if ranged and (len(score_thr) != 2 or not all(map(is_score, score_thr)) or score_thr[0] > score_thr[1]):
            raise UserError(
                f'SED: score_thr of pseudo_labels is {score_thr!r}, but a range is two scores between 0 and 1, the '
                'lower one first.'
            )
        for name, score in dict(score_thr=score_thr, ignore_thr=ignore_thr).items():
            if not is_score(score) and not (ranged and name == 'score_thr'):
                raise UserError(f'SED: {name} of pseudo_labels is {score!r}, but a score lies between 0 and 1.')
        if not isinstance(found, (int, float)) or not 0 < found < float('inf'):
            raise UserError(f'SED: found of pseudo_labels is {found!r}, but is a part of the boxes, such as 0.6.')
        if not isinstance(box_weight, (int, float)) or box_weight < 0:
            raise UserError(f'SED: box_weight of pseudo_labels is {box_weight!r}, but a weight is a number from 0 on.')
        if not isinstance(sizes, (list, tuple)) or not all(map(is_factor, sizes)):
            raise UserError(
                f'SED: sizes of pseudo_labels is {sizes!r}, but lists factors from 0.25 to 4, such as [0.75, 1.33].'
            )
        if not isinstance(mirror, bool):
            raise UserError(f'SED: mirror of pseudo_labels is {mirror!r}; use True (the default) or False.')
        if getattr(detector, 'with_mask', False):
            raise UserError(
                f'SED: pseudo_labels are boxes, and {type(detector).__name__} wants masks as well; take its mask head '
                'out (as init --without-masks does) or leave pseudo_labels out.'
            )
        self.sure = SureScore(*score_thr, found) if ranged else None
        self.score_thr, self.ignore_thr = score_thr, ignore_thr if ranged else min(ignore_thr, score_thr)
        self.min_size, self.box_weight = min_size, box_weight
        self.sizes, self.mirror = tuple(sizes), mirror

    def thresholds(self) -> tuple[float | Tensor, float | Tensor]:
        """The present scores of a label and of what is ignored."""
        if self.sure is None:
            return self.score_thr, self.ignore_thr
        score = self.sure.score.clamp(self.sure.least, self.sure.most)  # of a checkpoint with another range
        return score, (score / 3).clamp(max=self.ignore_thr)

    def losses(self, inputs: dict[str, Tensor], samples: SampleList, strong: Pass, weak: Pass) -> dict[str, Tensor]:
        """The losses, each as one scalar named like ``unsup_loss_pseudo_cls``; zeros if nothing is sure.

        Args:
            inputs: Batches (n, 3, H, W) by branch.
            samples: Data samples of the strong view.
            strong: The student's pass over it.
            weak: The teacher's pass over the weak view.
        """
        labelled = self.labels(inputs['unsup_teacher'], samples, weak)
        if self.sure is not None:
            self.sure.note([len(sample.gt_instances) for sample in labelled])
        sure = [place for place, sample in enumerate(labelled) if len(sample.gt_instances)]
        taken = sure or list(range(len(labelled)))
        share = len(sure) / len(labelled)
        features, images = strong.feats, inputs['unsup_student']
        if len(taken) < len(labelled):
            features, images = tuple(level[taken] for level in features), images[taken]
        with on_features(strong.detector, features), ignoring(strong.detector):
            losses = whole_losses(strong.detector, images, [labelled[place] for place in taken])
        terms = {name: sum_of({name: value}) for name, value in losses.items() if 'loss' in name}
        if not any(map(self.factor, terms)):
            raise UserError(
                f'SED: box_weight of pseudo_labels is {self.box_weight:g}, but {type(strong.detector).__name__} has no '
                f'term of classes alone ({", ".join(terms)}), so nothing would be learnt: set it to 1.'
            )
        return {
            'unsup_loss_pseudo_' + name.replace('loss_', '', 1): self.factor(name) * share * term
            for name, term in terms.items()
        }

    def factor(self, name: str) -> float:
        """Factor on one of a detector's terms."""
        return 1.0 if name.endswith(CLASSES) else self.box_weight

    @torch.no_grad()
    def labels(self, inputs: Tensor, samples: SampleList, weak: Pass) -> list[DetDataSample]:
        """Data samples whose labels the teacher found, in pixels of the batch: sure ones and ignored ones."""
        found = found_at_sizes(inputs, samples, weak, self.sizes, self.mirror)
        return [self.labelled(sample, instances) for sample, instances in zip(samples, found)]

    def labelled(self, sample: DetDataSample, found: InstanceData) -> DetDataSample:
        """A sample of the same image with what was found as labels."""
        boxes, scores = found.bboxes, found.scores
        large = (boxes[:, 2:] - boxes[:, :2] >= self.min_size).all(1)
        label, ignored = self.thresholds()
        sure = (scores > label) & large
        unsure = (scores > ignored) & large & ~sure
        if len(boxes):  # what says another class of the same object, or its place once more, leaves it a label
            unsure &= ~((bbox_overlaps(boxes, boxes) > 0.5) & sure).any(1)
        labelled = DetDataSample(metainfo=sample.metainfo)
        labelled.gt_instances, labelled.ignored_instances = (
            InstanceData(bboxes=boxes[kept], labels=found.labels[kept]) for kept in (sure, unsure)
        )
        return labelled


def pseudo_labels_of(student: nn.Module, options: dict | None) -> PseudoLabels | None:
    """The :class:`PseudoLabels` of these options; None without.

    Raises:
        UserError: If there is none of the name, or they are no options at all.
    """
    if options is None:
        return None
    if not isinstance(options, dict):
        raise UserError(f'SED: pseudo_labels is {options!r}; name its options, dict() for the defaults.')
    known = list(inspect.signature(PseudoLabels).parameters)[1:]
    for name in options:
        if name not in known:
            raise UserError(f'SED: pseudo_labels has {name!r}, which is no option of it; it takes {", ".join(known)}.')
    return PseudoLabels(student, **options)


def is_score(value) -> bool:
    """Whether it is a number between 0 and 1."""
    return isinstance(value, (int, float)) and 0 < value < 1


def is_factor(size) -> bool:
    """Whether images can be resized by it."""
    return isinstance(size, (int, float)) and not isinstance(size, bool) and 0.25 <= size <= 4


@contextmanager
def ignoring(detector: nn.Module) -> Iterator[None]:
    """Within it, anchors and proposals that lie by half in an ignored box are no background, for assigners that can.

    mmdet's own ``ignore_iof_thr`` takes them out before any is assigned, and with them those of a sure box that lies in
    an unsure one; here they are objects first.
    """
    heads = [getattr(detector, name, None) for name in ('rpn_head', 'bbox_head', 'roi_head')]
    found = [getattr(head, name, None) for head in heads for name in ('assigner', 'bbox_assigner')]
    found = [one for some in found for one in (some if isinstance(some, list) else [some])]  # a cascade has several
    assigners = [assigner for assigner in found if hasattr(assigner, 'ignore_iof_thr')]
    for assigner in assigners:
        assigner.assign = partial(_assign, assigner.assign)
    try:
        yield
    finally:
        for assigner in assigners:
            del assigner.assign


def _assign(assign: Callable, *args, **kwargs):
    """What an assigner assigns, less the background that lies by half in an ignored box."""
    given = inspect.signature(assign).bind(*args, **kwargs)
    ignored, given.arguments['gt_instances_ignore'] = given.arguments.get('gt_instances_ignore'), None
    result = assign(*given.args, **given.kwargs)
    priors = given.arguments['pred_instances'].priors
    if ignored is not None and len(ignored) and len(priors):
        inside = bbox_overlaps(priors, ignored.bboxes, mode='iof').amax(1) > 0.5
        result.gt_inds[inside & (result.gt_inds == 0)] = -1
    return result
