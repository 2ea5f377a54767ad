# Copyright (c) sssd contributors. Licensed under the Apache License 2.0.
"""Mixed precision in bfloat16, on GPUs and on CPUs."""
from contextlib import contextmanager

import torch
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.roi_heads.roi_extractors import BaseRoIExtractor
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from sssd.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """``OptimWrapper`` whose forward passes run under ``torch.autocast`` in bfloat16, on whatever device the model is.

    Weights, gradients and the optimizer stay in float32, and no loss scale is needed, since bfloat16 has float32's
    range. MMEngine's ``AmpOptimWrapper`` is for GPUs alone, and mmcv's RoIAlign and NMS know no bfloat16: what heads
    give out, and what is pooled, is float32 here, so every loss is too.
    """

    @contextmanager
    def optim_context(self, model: nn.Module):
        """The context of a training step's forward pass."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16), float32_heads(model):
            yield


@contextmanager
def float32_heads(model: nn.Module):
    """Within it, the outputs of dense and box heads and the inputs of RoI extractors are float32."""
    handles = []
    for module in model.modules():
        if isinstance(module, (BaseDenseHead, BBoxHead)):
            handles.append(module.register_forward_hook(lambda module, args, output: as_float32(output)))
        elif isinstance(module, BaseRoIExtractor):
            handles.append(module.register_forward_pre_hook(lambda module, args: as_float32(args)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def as_float32(value):
    """Half-precision tensors in tuples and lists as float32; anything else as it is."""
    if isinstance(value, Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, (tuple, list)):
        return type(value)(as_float32(part) for part in value)
    return value
