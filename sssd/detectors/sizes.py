"""Sizes of images: what a detector finds at several, and mirrored; weak and strong views, which have one."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.ops import batched_nms
from mmdet.structures import DetDataSample, SampleList
from mmdet.structures.bbox import bbox_overlaps
from mmengine.structures import InstanceData
from torch import Tensor, nn

from sssd.detectors.shared_targets import on_features
from sssd.errors import UserError
from sssd.views import Pass

#: Detections of one class that overlap more are of one object; those that vote on its box overlap its surest more yet.
SAME_IOU, VOTING_IOU = 0.5, 0.65
#: Sides of a resized batch are multiples of this, which the strides of any detector divide.
DIVISOR = 64


def found_at_sizes(
    inputs: Tensor, samples: SampleList, done: Pass, sizes: Sequence[float], mirror: bool = True
) -> list[InstanceData]:
    """Detections of every image (``bboxes``, ``scores``, ``labels``), in pixels of the batch.

    Args:
        inputs: Batch (n, 3, H, W), padded and normalised.
        samples: Its data samples.
        done: The detector's pass over it.
        sizes: Further sizes to look at, as factors; :func:`agreed` joins what is found.
        mirror: Whether the further looks are at mirror images.
    """
    blank = [DetDataSample(metainfo=sample.metainfo) for sample in samples]
    with on_features(done.detector, done.feats):
        found = done.detector.predict(inputs, blank, rescale=False)
    further = [_at(done.detector, inputs, samples, size, mirror) for size in sizes]
    looks = [[sample.pred_instances for sample in found], *further]
    return looks[0] if len(looks) == 1 else [agreed(of_image) for of_image in zip(*looks)]


def _at(detector: nn.Module, inputs: Tensor, samples: SampleList, size: float, mirror: bool) -> list[InstanceData]:
    """What is found in a batch resized by ``size``, in pixels of the batch as it is."""
    height, width = (round(side * size) for side in inputs.shape[-2:])
    down, across = height / inputs.shape[-2], width / inputs.shape[-1]  # what rounding makes of ``size``
    resized = F.interpolate(inputs, (height, width), mode='bilinear', antialias=size < 1)
    shapes = [(round(sample.img_shape[0] * down), round(sample.img_shape[1] * across)) for sample in samples]
    if mirror:
        resized = torch.stack([_mirrored(image, shape[1]) for image, shape in zip(resized, shapes)])
    resized = F.pad(resized, (0, -width % DIVISOR, 0, -height % DIVISOR))
    whole = tuple(resized.shape[-2:])
    shown = [
        DetDataSample(metainfo=dict(sample.metainfo, img_shape=shape, batch_input_shape=whole))
        for sample, shape in zip(samples, shapes)
    ]
    found = [sample.pred_instances for sample in detector.predict(resized, shown, rescale=False)]
    for instances, shape in zip(found, shapes):
        left, top, right, bottom = instances.bboxes.float().unbind(1)
        if mirror:
            left, right = shape[1] - right, shape[1] - left
        instances.bboxes = torch.stack((left / across, top / down, right / across, bottom / down), 1)
    return found


def _mirrored(image: Tensor, width: int) -> Tensor:
    """An image (3, H, W) whose first ``width`` columns are mirrored; the padding stays where it is."""
    return torch.cat((image[..., :width].flip(-1), image[..., width:]), -1)


def agreed(looks: Sequence[InstanceData]) -> InstanceData:
    """One detection of every object found in looks at one image, falling by score.

    A score is the mean over the looks of the best that a detection of the class has there on the object, 0 where there
    is none: of two looks, what one alone finds is half as sure. A box is the mean of the detections that overlap the
    surest one well, weighed by their scores.

    Args:
        looks: Detections (``bboxes``, ``scores``, ``labels``) of each look, in the same pixels. What else they have,
            such as masks, is left out.
    """
    together = InstanceData.cat(
        [InstanceData(bboxes=look.bboxes, scores=look.scores, labels=look.labels) for look in looks]
    )
    if not len(together):
        return together
    boxes, scores, labels = together.bboxes.float(), together.scores.float(), together.labels
    _, kept = batched_nms(boxes, scores, labels, dict(type='nms', iou_threshold=SAME_IOU))
    overlaps = bbox_overlaps(boxes[kept], boxes).where(labels[kept, None] == labels, 0)
    votes = scores * (overlaps > VOTING_IOU)
    parts = ((overlaps > SAME_IOU) * scores).split([len(look) for look in looks], 1)
    mean = sum(part.amax(1) for part in parts if part.shape[1]) / len(looks)
    order = mean.argsort(descending=True)
    weights = votes / votes.sum(1, keepdim=True).clamp(min=torch.finfo(scores.dtype).tiny)
    voted = (weights[..., None] * boxes).sum(1)  # no product of matrices, which autocast would round
    return InstanceData(bboxes=voted[order], scores=mean[order], labels=labels[kept][order])


def require_one_size(inputs: dict[str, Tensor], samples: dict[str, SampleList]) -> None:
    """Refuse weak and strong views of different sizes: their cells do not pair, nor fit boxes of one into the other.

    Raises:
        UserError: With two sizes, of the batches or of an image.
    """
    weak, strong = (
        [tuple(inputs[branch].shape[-2:]), *(tuple(sample.img_shape[:2]) for sample in samples[branch])]
        for branch in ('unsup_teacher', 'unsup_student')
    )
    for one, other in zip(weak, strong):
        if one != other:
            raise UserError(
                f'SED: a weak view has {one} pixels and its strong view {other}, so they do not pair: draw sizes '
                'before MultiBranch, once for both, and take batch_augments out of the data preprocessor.'
            )
