"""Which loss pulls how hard on the parameters that all of them share."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sssd.losses import branch_gradients


class MeasuresGradients:
    """Mixin: the gradients of a model's further losses, compared with that of its supervised one.

    Losses of equal size may have gradients that differ by tens; what decides whether labels are still learnt is the
    gradient. :class:`~sssd.hooks.GradientRatioHook` sets the attributes.

    Attributes:
        measure_gradients: Whether the next forward pass measures.
        measured_parts: Parts of the detector with respect to whose parameters; none is :func:`shared_parameters`.
        gradient_scale: What losses are multiplied by meanwhile: the loss scale of a training in float16.
        gradient_norms: What was measured last: Euclidean norms by branch, ``sup`` the supervised one.
        gradient_cosines: The same of the cosine with the supervised gradient.
    """

    measure_gradients: bool = False
    measured_parts: Sequence[str] = ()
    gradient_scale: float = 1.0
    gradient_norms: dict[str, Tensor] | None = None
    gradient_cosines: dict[str, Tensor] | None = None
    _logged: tuple[str, ...] = ()

    def begin_measuring(self, optim_wrapper) -> None:
        """Measure in the next forward pass, with the loss scale of a training in float16."""
        self.measure_gradients = True
        scaler = getattr(optim_wrapper, 'loss_scaler', None)
        if scaler is not None:
            self.gradient_scale = scaler.get_scale()

    def gradient_ratios(self, detector: nn.Module, supervised: Tensor, branches: dict[str, Tensor | None]) -> dict:
        """``<branch>_grad_ratio``: the norm of a branch's gradient over that of the supervised loss, for the log.

        The gradients are those of the mean over ranks. Nothing is returned unless ``measure_gradients`` is set, and
        where gradients are not finite or nothing that is shared trains.

        Args:
            detector: Whose parameters are shared.
            supervised: The detector's own losses on the labels, a scalar with its graph.
            branches: Weighted totals of the other losses, or their gradients (P,) where they are known; None where this
                rank's batch has nothing for one. The same names on every rank; none if all are off.
        """
        if not self.measure_gradients or torch.compiler.is_compiling():
            return {}
        # a branch that is off now: not its last value on and on
        off = {f'{name}_grad_ratio': torch.zeros((), device=supervised.device) for name in self._logged}
        parameters = shared_parameters(detector, self.measured_parts) if branches else []
        if not parameters:
            return off
        own, *others = branch_gradients([supervised, *branches.values()], parameters, self.gradient_scale)
        norms = dict(zip(('sup', *branches), (row.norm() for row in (own, *others))))
        if not torch.stack(list(norms.values())).isfinite().all():  # the host waits for the device here, once
            return {}
        self.gradient_norms = norms
        self.gradient_cosines = {name: torch.cosine_similarity(row, own, dim=0) for name, row in zip(branches, others)}
        self._logged = (*self._logged, *(name for name in branches if name not in self._logged))
        return off | {f'{name}_grad_ratio': norms[name] / norms['sup'].clamp(min=1e-12) for name in branches}


def shared_parameters(detector: nn.Module, parts: Sequence[str] = ()) -> list[nn.Parameter]:
    """Parameters that train and that every loss of a detector reaches, those nearest to its features.

    Args:
        detector: An mmdet detector.
        parts: Names of its modules to take; by default the neck, or, where it has none that trains, the last part of
            the backbone that trains. There may be none.
    """
    if parts:
        return [value for name in parts for value in _trainable(detector.get_submodule(name))]
    neck = _trainable(getattr(detector, 'neck', None))
    stages = (_trainable(stage) for stage in reversed(list(detector.backbone.children())))
    return neck or next(filter(None, stages), [])


def _trainable(module: nn.Module | None) -> list[nn.Parameter]:
    return [] if module is None else [value for value in module.parameters() if value.requires_grad]
