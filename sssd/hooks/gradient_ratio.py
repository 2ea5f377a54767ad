"""When a model measures the gradients of its losses."""

from collections.abc import Sequence

from mmengine.hooks import Hook, LoggerHook
from mmengine.runner import EpochBasedTrainLoop

from sssd.errors import UserError
from sssd.hooks.ema_teacher import unwrap
from sssd.registry import HOOKS


@HOOKS.register_module()
class GradientRatioHook(Hook):
    """Logs how hard the unsupervised losses pull on what they share with the supervised one, at the logging interval.

    ``scale_grad_ratio``, ``distill_grad_ratio``, ``pseudo_grad_ratio`` and ``guide_grad_ratio`` are norms
    of gradients over that of the supervised loss, for the batch of the iteration that is logged; of the last one, if
    none is. They cost a backward pass through the heads for each loss, in that iteration alone, and leave the training
    as it is. Graphs stay for it a little longer, so it takes some more memory. A model without such losses is left
    alone.

    Args:
        interval: Iterations between two measurements; by default LoggerHook's interval.
        parts: Parts of the detector with respect to whose parameters, such as ``('backbone', 'neck')`` or
            ``('backbone.layer4',)``; by default the neck, or without one the last part of the backbone.

    Raises:
        UserError: If the interval is no whole number above 0 or, when training starts, the model has not all parts.
    """

    def __init__(self, interval: int | None = None, parts: Sequence[str] = ()) -> None:
        if interval is not None and (not isinstance(interval, int) or interval < 1):
            raise UserError(
                f'GradientRatioHook: interval is {interval!r}, but it counts iterations and is at least 1; leave it '
                'out to measure whenever LoggerHook logs.'
            )
        self.interval, self.parts = interval, tuple(parts)

    def before_train(self, runner) -> None:
        """Find the interval of the log, and tell the model what to measure."""
        if self.interval is None:
            self.interval = next((hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)), 0)
        model = unwrap(runner.model)
        if not hasattr(model, 'measured_parts'):
            return
        detector = getattr(model, 'student', None) or model.detector
        known = dict(detector.named_modules())
        for part in self.parts:
            if part not in known:
                raise UserError(
                    f'GradientRatioHook: {type(detector).__name__} has no part named {part}; name others in parts, by '
                    f'their whole names, such as backbone or {next(name for name in known if "." in name)}, or '
                    'leave it out to measure at the neck.'
                )
        model.measured_parts = self.parts

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Have the model measure if this iteration is logged."""
        model = unwrap(runner.model)
        if not hasattr(model, 'measure_gradients'):
            return
        last = runner.iter + 1 == runner.max_iters < self.interval  # of a training too short for one measurement
        model.measure_gradients = False
        if isinstance(runner.train_loop, EpochBasedTrainLoop) and len(runner.train_dataloader) < self.interval:
            last = self.end_of_epoch(runner.train_dataloader, batch_idx)  # where such a short epoch is logged
        if self.interval and (last or self.every_n_inner_iters(batch_idx, self.interval)):
            model.begin_measuring(runner.optim_wrapper)

    def after_train(self, runner) -> None:
        """Measure no longer."""
        model = unwrap(runner.model)
        if hasattr(model, 'measure_gradients'):
            model.measure_gradients = False
