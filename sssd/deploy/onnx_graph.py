"""A detector of mmdet as one traceable function: pixels to boxes, scores and labels.

What mmdet does after its heads asks for the number of boxes in Python, which a trace freezes. So that part is told here
once more in tensors alone, for the two families that most detectors are of: dense heads that keep mmdet's own
``predict_by_feat``, and Faster R-CNN. The networks, priors and coders are the detector's own.
"""

import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.models.dense_heads import RPNHead
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.detectors import SingleStageDetector, TwoStageDetector
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from torch import Tensor, nn

from sssd.deploy.onnx_ops import PoolRegions, best, suppressed
from sssd.errors import UserError

_PREDICTING = ('predict', 'predict_by_feat', '_predict_by_feat_single', '_bbox_post_process')


class Graph(nn.Module):
    """Detections of one image.

    Args:
        detector: Of mmdet, in eval mode; one that :func:`refuse_other` lets through.
    """

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector
        self.two_stages = isinstance(detector, TwoStageDetector)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes in pixels of the image (n, 4), scores (n,) and labels (n,), best first.

        Args:
            image: Height, width, 3; bytes in the order of OpenCV (blue, green, red), resized as in the test pipeline.
        """
        shape = torch._shape_as_tensor(image)[:2]
        features = self.detector.extract_feat(prepared(image, self.detector.data_preprocessor))
        if self.two_stages:
            proposals = propose(self.detector.rpn_head, features, shape)
            return classify(self.detector.roi_head, features, proposals, shape)
        return dense(self.detector.bbox_head, features, shape)


def prepared(image: Tensor, preprocessor: DetDataPreprocessor) -> Tensor:
    """The batch of one image that the backbone takes: normalised and padded at its right and lower end."""
    batch = image.permute(2, 0, 1).float()
    if preprocessor._channel_conversion:
        batch = batch[[2, 1, 0]]
    if preprocessor._enable_normalize:
        batch = (batch - preprocessor.mean) / preprocessor.std
    size, divisor = torch._shape_as_tensor(batch)[1:], preprocessor.pad_size_divisor
    down, right = (size + divisor - 1) // divisor * divisor - size
    return nn.functional.pad(batch[None], (0, right, 0, down), value=float(preprocessor.pad_value))


def dense(head: BaseDenseHead, features, shape: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What mmdet's ``BaseDenseHead.predict_by_feat`` gives."""
    cfg, outs = head.test_cfg, head(features)
    factors = outs[2] if len(outs) > 2 else [None] * len(outs[0])
    rows = []
    for scores, deltas, factor, priors in zip(outs[0], outs[1], factors, _priors(head, outs[0])):
        scores = _activated(head, scores)
        classes = scores.shape[1]
        found, index = best(scores.reshape(-1), cfg.get('nms_pre', -1))
        index = index[found > cfg.get('score_thr', 0)]
        cell, label = torch.div(index, classes, rounding_mode='floor'), index % classes
        score = scores.reshape(-1)[index]
        if factor is not None:
            score = score * factor[0].permute(1, 2, 0).reshape(-1).sigmoid()[cell]
        rows.append((_flat(deltas, head.bbox_coder.encode_size)[cell], priors[cell], score, label))
    deltas, priors, scores, labels = (torch.cat(part) for part in zip(*rows))
    boxes = _decoded(head.bbox_coder, priors, deltas, shape)
    if cfg.get('min_bbox_size', -1) >= 0:
        boxes, scores, labels = _thick(boxes, cfg.min_bbox_size, boxes, scores, labels)
    return _kept(boxes, scores, labels, cfg)


def propose(head: RPNHead, features, shape: Tensor) -> Tensor:
    """What mmdet's ``RPNHead.predict_by_feat`` gives: boxes of shape (n, 4)."""
    cfg, (scores, deltas) = head.test_cfg, head(features)
    rows = []
    for level, (score, delta, priors) in enumerate(zip(scores, deltas, _priors(head, scores))):
        score, index = best(_activated(head, score).reshape(-1), cfg.get('nms_pre', -1))
        delta = _flat(delta, head.bbox_coder.encode_size)[index]
        rows.append((delta, priors[index], score, torch.full_like(index, level)))
    deltas, priors, scores, levels = (torch.cat(part) for part in zip(*rows))
    boxes = _decoded(head.bbox_coder, priors, deltas, shape)
    if cfg.get('min_bbox_size', -1) >= 0:
        boxes, scores, levels = _thick(boxes, cfg.min_bbox_size, boxes, scores, levels)
    return _kept(boxes, scores, levels, cfg)[0]


def classify(head: StandardRoIHead, features, proposals: Tensor, shape: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What mmdet's ``StandardRoIHead.predict_bbox`` gives."""
    proposals, pooled = _pooled(head.bbox_roi_extractor, features, proposals)
    if head.with_shared_head:
        pooled = head.shared_head(pooled)
    scores, deltas = head.bbox_head(pooled)
    scores, cfg = scores.softmax(-1)[:, :-1], head.test_cfg
    classes = scores.shape[1]
    scores = scores.reshape(-1)
    index = (scores > cfg.score_thr).nonzero().squeeze(1)
    region, label = torch.div(index, classes, rounding_mode='floor'), index % classes
    deltas = deltas.reshape(-1, head.bbox_head.bbox_coder.encode_size)
    deltas = deltas[region if head.bbox_head.reg_class_agnostic else index]
    boxes = _decoded(head.bbox_head.bbox_coder, proposals[region], deltas, shape)
    return _kept(boxes, scores[index], label, cfg)


def _pooled(extractor: SingleRoIExtractor, features, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes, put in the order of their levels, and the features of each."""
    layers = extractor.roi_layers
    features = features[: extractor.num_inputs]
    if len(features) == 1:
        chosen = [boxes]
    else:
        level = extractor.map_roi_levels(nn.functional.pad(boxes, (1, 0)), len(features))
        chosen = [boxes[level == number] for number in range(len(features))]
    pooled = [
        PoolRegions.apply(
            feature,
            part,
            torch.zeros_like(part[:, 0], dtype=torch.long),
            tuple(layer.output_size),
            float(layer.spatial_scale),
            int(layer.sampling_ratio),
            bool(layer.aligned),
        )
        for feature, part, layer in zip(features, chosen, layers)
    ]
    return torch.cat(chosen), torch.cat(pooled)


def _priors(head: BaseDenseHead, maps) -> list[Tensor]:
    """Anchors (n, 4) or points (n, 2) of each level."""
    sizes = [each.shape[-2:] for each in maps]
    return head.prior_generator.grid_priors(sizes, dtype=maps[0].dtype, device=maps[0].device)


def _flat(values: Tensor, width: int) -> Tensor:
    """(1, k * width, height, width of the map) as rows of ``width``."""
    return values[0].permute(1, 2, 0).reshape(-1, width)


def _activated(head: BaseDenseHead, scores: Tensor) -> Tensor:
    rows = _flat(scores, head.cls_out_channels)
    return rows.sigmoid() if head.use_sigmoid_cls else rows.softmax(-1)[:, :-1]


def _decoded(coder, priors: Tensor, deltas: Tensor, shape: Tensor) -> Tensor:
    """Boxes within the image, if the coder cuts them."""
    boxes = coder.decode(priors, deltas, max_shape=None)
    if not coder.clip_border:
        return boxes
    most = shape[[1, 0, 1, 0]].to(boxes)
    return torch.minimum(boxes.clamp(min=0), most)


def _thick(boxes: Tensor, least: float, *values: Tensor) -> list[Tensor]:
    """Of the values those whose box is wider and higher than ``least``."""
    sides = boxes[:, 2:] - boxes[:, :2]
    mask = (sides[:, 0] > least) & (sides[:, 1] > least)
    return [value[mask] for value in values]


def _kept(boxes: Tensor, scores: Tensor, groups: Tensor, cfg) -> tuple[Tensor, Tensor, Tensor]:
    index = suppressed(boxes, scores, groups, cfg.nms)
    if cfg.max_per_img > 0:
        index = index[: cfg.max_per_img]
    return boxes[index], scores[index], groups[index]


def refuse_other(detector: nn.Module) -> None:
    """Refuse a detector whose predictions :class:`Graph` does not tell.

    Raises:
        UserError: Naming the part, and what to do instead.
    """
    why = _other(detector)
    if why:
        raise UserError(
            f'no ONNX is written of {type(detector).__name__}: {why}; leave --onnx out, the folder for mmdet needs no '
            'graph.'
        )


def _other(detector: nn.Module) -> str:
    """What of a detector is not told here; empty if nothing is."""
    if type(detector.data_preprocessor) is not DetDataPreprocessor:
        return f'its preprocessor {type(detector.data_preprocessor).__name__} is not in the graph'
    if isinstance(detector, TwoStageDetector):
        return _other_stages(detector)
    head = getattr(detector, 'bbox_head', None)
    if not isinstance(detector, SingleStageDetector) or not _keeps(head, BaseDenseHead):
        return 'the graph has RetinaNet, FCOS, other dense heads that predict as they do, and Faster R-CNN'
    if type(detector).predict is not SingleStageDetector.predict or getattr(detector, 'with_mask', False):
        return 'it predicts in its own way'
    if head.test_cfg.get('min_bbox_size', -1) > 0:
        return 'its test_cfg.min_bbox_size counts pixels of the original image, which the graph does not know'
    return _other_nms(head.test_cfg) or _other_scores(head)


def _other_stages(detector: TwoStageDetector) -> str:
    rpn, roi = getattr(detector, 'rpn_head', None), detector.roi_head
    if type(detector).predict is not TwoStageDetector.predict or not _keeps(rpn, RPNHead):
        return 'of the detectors with two stages the graph has Faster R-CNN with its RPN'
    if type(roi) is not StandardRoIHead or roi.with_mask:
        return f'the graph has the second stage of Faster R-CNN, and not {type(roi).__name__} or masks'
    extractor, box = roi.bbox_roi_extractor, roi.bbox_head
    if type(extractor) is not SingleRoIExtractor or not _keeps(box, BBoxHead) or box.custom_cls_channels:
        return 'its second stage pools or predicts in its own way'
    if any(type(layer).__name__ != 'RoIAlign' or layer.pool_mode != 'avg' for layer in extractor.roi_layers):
        return 'its regions are not pooled by RoIAlign with means'
    return _other_nms(rpn.test_cfg) or _other_nms(roi.test_cfg) or _other_scores(rpn)


def _keeps(head, base: type) -> bool:
    """Whether a head predicts as its base does."""
    return isinstance(head, base) and all(
        getattr(type(head), name, None) is getattr(base, name, None) for name in _PREDICTING
    )


def _other_nms(cfg) -> str:
    nms = cfg.get('nms') or {}
    if nms.get('type', 'nms') != 'nms' or 'iou_threshold' not in nms:
        return f'its suppression is {nms.get("type", "none")}, and that of ONNX is plain nms'
    return ''


def _other_scores(head) -> str:
    return 'its scores are activated by its loss' if getattr(head.loss_cls, 'custom_cls_channels', False) else ''
