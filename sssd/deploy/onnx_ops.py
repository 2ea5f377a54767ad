"""Two operators that torch has no word for, as ONNX's own: suppression of overlapping boxes, and pooling of regions."""

import torch
from mmcv.ops import nms, roi_align
from torch import Tensor
from torch.autograd import Function

_ALL = 2**30


class Suppress(Function):
    """Greedy non-maximum suppression, as mmcv's ``nms`` and ONNX's ``NonMaxSuppression`` have it."""

    @staticmethod
    def forward(ctx, boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
        """Rows (image, class, box) of what is kept, best first.

        Args:
            ctx: Unused.
            boxes: x1, y1, x2, y2; shape (1, n, 4).
            scores: Of one class; shape (1, 1, n).
            iou: What overlaps more with a better box is left out.
        """
        if not boxes.shape[1]:
            return boxes.new_zeros((0, 3), dtype=torch.long)
        kept = nms(boxes[0], scores[0, 0], iou)[1]
        return torch.stack([torch.zeros_like(kept), torch.zeros_like(kept), kept], 1)

    @staticmethod
    def symbolic(g, boxes, scores, iou: float):
        """The same in ONNX."""
        most = g.op('Constant', value_t=torch.tensor([_ALL]))
        overlap = g.op('Constant', value_t=torch.tensor([iou], dtype=torch.float32))
        return g.op('NonMaxSuppression', boxes, scores, most, overlap)


class PoolRegions(Function):
    """Bilinear pooling of regions, as mmcv's ``roi_align`` and ONNX's ``RoiAlign`` have it."""

    @staticmethod
    def forward(
        ctx, features: Tensor, boxes: Tensor, images: Tensor, size: tuple, scale: float, samples: int, aligned: bool
    ) -> Tensor:
        """Features of regions, averaged.

        Args:
            ctx: Unused.
            features: Shape (images, channels, height, width).
            boxes: x1, y1, x2, y2 in the image; shape (n, 4).
            images: Which image a box is of; shape (n,).
            size: Height and width of what comes out.
            scale: Pixels of the features per pixel of the image.
            samples: Per cell and side; 0 takes as many as the region has pixels.
            aligned: Whether the centre of a pixel, not its corner, is its place.
        """
        rois = torch.cat([images[:, None].to(boxes), boxes], 1)
        return roi_align(features, rois, size, scale, samples, 'avg', aligned)

    @staticmethod
    def symbolic(g, features, boxes, images, size, scale, samples, aligned):
        """The same in ONNX."""
        return g.op(
            'RoiAlign',
            features,
            boxes,
            images,
            coordinate_transformation_mode_s='half_pixel' if aligned else 'output_half_pixel',
            mode_s='avg',
            output_height_i=size[0],
            output_width_i=size[1],
            sampling_ratio_i=samples,
            spatial_scale_f=scale,
        )


def suppressed(boxes: Tensor, scores: Tensor, groups: Tensor, cfg) -> Tensor:
    """Indices of the boxes that are kept, best first; boxes of different groups do not suppress each other.

    Args:
        boxes: Shape (n, 4).
        scores: Shape (n,).
        groups: Their classes or levels; shape (n,).
        cfg: ``iou_threshold``, and ``class_agnostic`` if groups do not matter.
    """
    if not cfg.get('class_agnostic', False):  # moved apart, as mmcv does
        farthest = torch.cat([boxes.reshape(-1), boxes.new_zeros(1)]).max()
        boxes = boxes + (groups.to(boxes) * (farthest + 1))[:, None]
    return Suppress.apply(boxes[None], scores[None, None], float(cfg['iou_threshold']))[:, 2]


def best(scores: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The ``most`` highest scores or all if there are fewer, and their indices; the number is found when it runs."""
    if most <= 0:
        return scores, torch.arange(scores.shape[0], device=scores.device)
    count = torch.minimum(torch._shape_as_tensor(scores)[0], torch.tensor(most))
    return scores.topk(count)
