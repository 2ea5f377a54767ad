"""Labelled batches through tiny detectors at two sizes, without a data set."""

import tiny
import torch
from mmdet.registry import MODELS as MMDET_MODELS

from sssd.figures.passes import scale_passes
from sssd.views import build_views

#: Detectors with a dense head.
DENSE = dict(tiny.DETECTORS, c4=tiny.c4, dc5=tiny.dc5, yolof=tiny.yolof)
PREPROCESSOR = dict(type='mmdet.DetDataPreprocessor', mean=[127.0] * 3, std=[60.0] * 3, pad_size_divisor=64)


def build(name, seed=0):
    """A tiny detector in evaluation mode, its scores spread out, and its views."""
    torch.manual_seed(seed)
    detector = MMDET_MODELS.build(dict(DENSE[name](), data_preprocessor=PREPROCESSOR))
    detector.init_weights()
    with torch.no_grad():
        for key, value in detector.named_parameters():
            layer, _, part = key.rpartition('.')
            if part == 'weight' and layer.endswith(('retina_cls', 'conv_cls', 'rpn_cls', 'fc_cls', 'cls_score')):
                value.normal_(std=0.3)
            elif part == 'bias' and layer.endswith(('retina_cls', 'conv_cls', 'rpn_cls', 'cls_score')):
                value.fill_(-1.0)
    return detector.eval(), build_views(detector)


def run(detector, boxes=tiny.BOXES, shift=1, size=(64, 96), seed=0):
    """One batch at two sizes, an image for each entry of ``boxes``."""
    batch = tiny.make_batch(boxes, size=size, seed=seed)
    batch = {key: branches['sup'] for key, branches in batch.items()}
    infos = [dict(instances=[dict(bbox=list(box), bbox_label=0, ignore_flag=0) for box in image]) for image in boxes]
    return scale_passes(detector, batch, infos, shift)
