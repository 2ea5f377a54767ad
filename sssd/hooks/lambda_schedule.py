"""Loss weights on schedules."""

from mmengine.hooks import Hook

from sssd.errors import UserError, require_weights
from sssd.hooks.ema_teacher import unwrap
from sssd.hooks.progress import progress_of
from sssd.registry import HOOKS
from sssd.schedules import build_schedule


@HOOKS.register_module()
class LambdaScheduleHook(Hook):
    """Sets loss weights of the model, such as ``lambda_s`` or ``lambda_``, before every iteration, and logs them.

    Args:
        burn_in: Iterations at the start in which all of them are 0: training by labels alone.
        **weights: Attribute of the model = its schedule (a number or a schedule's config).

    Raises:
        UserError: When training starts, if the model has no such attribute, or pseudo-labels whose weight a burn-in
            would leave as it is; at an iteration for which a schedule has a value below 0 or no number.
    """

    priority = 'ABOVE_NORMAL'

    def __init__(self, burn_in: int = 0, **weights) -> None:
        self.burn_in = burn_in
        self.schedules = {name: build_schedule(schedule) for name, schedule in weights.items()}

    def before_train(self, runner) -> None:
        """Check that the model has all the weights."""
        model = unwrap(runner.model)
        for name in self.schedules:
            if not hasattr(model, name):
                raise UserError(
                    f'LambdaScheduleHook: {type(model).__name__} has no weight {name!r}; SED has '
                    'lambda_s and lambda_d, with pseudo_labels lambda_p and pseudo_box_weight; GuidedDetector and SED '
                    'with guidance have lambda_ and student_grad.'
                )

        if self.burn_in and getattr(model, 'pseudo_labels', None) is not None and 'lambda_p' not in self.schedules:
            raise UserError(
                f'LambdaScheduleHook: burn_in is {self.burn_in}, but pseudo-labels would be learnt from the start, as '
                f'their weight is not named: add lambda_p={model.lambda_p:g}.'
            )

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Set the values of this iteration."""
        progress = progress_of(runner)
        for name, schedule in self.schedules.items():
            value = 0.0 if progress.iteration < self.burn_in else schedule(progress)
            require_weights(f'LambdaScheduleHook, iteration {progress.iteration}', **{name: value})
            setattr(unwrap(runner.model), name, value)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Log the values that the iteration had, which :class:`~sssd.hooks.CalibrateLambdaHook` may have changed."""
        for name in self.schedules:
            runner.message_hub.update_scalar(f'train/{name}', getattr(unwrap(runner.model), name))
