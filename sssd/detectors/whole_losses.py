"""A detector's own losses in which every trainable parameter takes part."""

from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.structures import SampleList
from torch import Tensor, nn


def whole_losses(detector: nn.Module, inputs: Tensor, samples: SampleList) -> dict:
    """``detector.loss``, with the term that mmdet leaves out where a second stage has nothing to classify.

    Without boxes and proposals, mmdet's box head has no ``loss_cls``, and its classifier no gradient, which
    DistributedDataParallel without a search for unused parameters takes for an error. Here it is a zero with a graph.

    Args:
        detector: The detector.
        inputs: Padded, normalised images (n, 3, H, W).
        samples: Their data samples.
    """
    losses = dict(detector.loss(inputs, samples))
    head = getattr(getattr(detector, 'roi_head', None), 'bbox_head', None)
    if isinstance(head, BBoxHead) and 'loss_cls' not in losses:
        losses['loss_cls'] = sum(0 * value.sum() for value in head.parameters() if value.requires_grad)
    return losses
