"""Mixed precision in bfloat16 and in float16, on GPUs and on CPUs."""

from contextlib import contextmanager
from functools import partial

import torch
from mmdet.models.dense_heads import DETRHead
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.models.roi_heads.roi_extractors import BaseRoIExtractor
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch import Tensor, nn
from torch.amp import GradScaler

from sssd.errors import UserError
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
        with super().optim_context(model), half_precision(model, torch.bfloat16):
            yield


@OPTIM_WRAPPERS.register_module()
class Float16OptimWrapper(AmpOptimWrapper):
    """MMEngine's ``AmpOptimWrapper`` in float16 for CPUs too: gradients of a scaled loss, in its part of the range.

    A step whose gradients are not finite is left out and the scale halved; after 2000 good ones it is doubled. The
    scale is in the checkpoint. Heads and losses are float32, as with :class:`BFloat16OptimWrapper`.

    Args:
        loss_scale: As in MMEngine: ``'dynamic'``, a number that stays, or options of ``torch.amp.GradScaler``.
        kwargs: Arguments of ``OptimWrapper``; the parameters are on their device by then.

    Raises:
        UserError: If ``loss_scale`` is none of these.
    """

    def __init__(self, loss_scale: str | float | dict = 'dynamic', **kwargs) -> None:
        OptimWrapper.__init__(self, **kwargs)  # AmpOptimWrapper's own refuses CPUs
        fixed = isinstance(loss_scale, (int, float))
        if not (fixed or isinstance(loss_scale, dict) or loss_scale == 'dynamic'):
            raise UserError(
                f"Float16OptimWrapper: loss_scale is {loss_scale!r}; use 'dynamic', a number, or options "
                'of torch.amp.GradScaler.'
            )
        options = dict(init_scale=float(loss_scale)) if fixed else {} if loss_scale == 'dynamic' else loss_scale
        self._scale_update_param = float(loss_scale) if fixed else None
        self.loss_scaler = GradScaler(self.optimizer.param_groups[0]['params'][0].device.type, **options)

    @contextmanager
    def optim_context(self, model: nn.Module):
        """The context of a training step's forward pass; a model that differentiates in it is told the loss scale."""
        detector = getattr(model, 'module', model)
        told = hasattr(detector, 'loss_scale')
        if told:
            one = torch.ones((), device=next(model.parameters()).device)
            detector.loss_scale = self.loss_scaler.scale(one)
        try:
            with OptimWrapper.optim_context(self, model), half_precision(model, torch.float16):
                yield
        finally:
            if told:
                detector.loss_scale = None


@contextmanager
def half_precision(model: nn.Module, dtype: torch.dtype):
    """Within it, the model computes in ``dtype`` what ``torch.autocast`` gives to it; its heads give out float32."""
    with torch.autocast(next(model.parameters()).device.type, dtype), float32_heads(model):
        yield


@contextmanager
def float32_heads(model: nn.Module):
    """Within it, the outputs of dense, box and mask heads and the inputs of RoI extractors are float32.

    DETR's heads, a few layers on some hundred queries, compute in it: what they give out are coordinates, by a sigmoid.
    """
    handles, whole = [], []
    for module in model.modules():
        if isinstance(module, DETRHead):
            module.forward = partial(_in_float32, module.forward)
            whole.append(module)
        elif isinstance(module, (BaseDenseHead, BBoxHead, FCNMaskHead)):
            handles.append(module.register_forward_hook(lambda module, args, output: as_float32(output)))
        elif isinstance(module, BaseRoIExtractor):
            handles.append(module.register_forward_pre_hook(lambda module, args: as_float32(args)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module in whole:
            del module.forward


def _in_float32(forward, *args, **kwargs):
    """What a forward makes without autocast."""
    tensors = [value for value in args if isinstance(value, Tensor)]
    with torch.autocast(tensors[0].device.type if tensors else 'cpu', enabled=False):
        return forward(*map(as_float32, args), **kwargs)


def as_float32(value):
    """Half-precision tensors in tuples and lists as float32; anything else as it is."""
    if isinstance(value, Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, (tuple, list)):
        return type(value)(as_float32(part) for part in value)
    return value
