"""Signs of a training that has gone wrong, told while something can be done."""

from collections.abc import Mapping
from logging import WARNING

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from torch import Tensor, nn

from sssd.errors import LocalError, UserError
from sssd.hooks.ema_teacher import unwrap
from sssd.registry import HOOKS

OFF, WARN, SKIP, STOP = 'off', 'warn', 'skip', 'stop'
#: What is done about each sign unless the config says otherwise.
ACTIONS = dict(
    non_finite=STOP, explosion=STOP, gradient_ratio=WARN, distance_share=WARN, teacher=WARN, drift=WARN, no_step=WARN
)
REMEDY = 'lower the learning rate, or set clip_grad=dict(max_norm=10) in optim_wrapper'


@HOOKS.register_module()
class HealthHook(Hook):
    """Watches a training for the ways in which it goes wrong without stopping by itself.

    ====================  ==========================================================================================
    sign                  what is watched
    ====================  ==========================================================================================
    ``non_finite``        a loss term, a gradient or a weight that is NaN or infinite; ``'skip'`` leaves such a step out
    ``explosion``         a loss more than ``explosion`` times the smallest mean of an interval
    ``gradient_ratio``    ``*_grad_ratio`` above ``ratio``: labels are hardly learnt then
    ``distance_share``    the distance's share of a guided loss above ``share``
    ``teacher``           ``*_teacher_above_half`` 0, or 1, throughout an interval after the warm-up
    ``drift``             the teacher further from the student than ``drift`` times the student's norm
    ``no_step``           no step of the optimizer for ``patience`` iterations
    ====================  ==========================================================================================

    A training that is stopped writes no further checkpoint, so the last good one stays.

    Args:
        interval: Iterations between two looks at what is no matter of a single iteration.
        warmup: Iterations in which the teacher may see nothing; None is a tenth of the training, at most 500.
        ratio, share, drift, explosion, patience: As above.
        actions: To a sign ``'off'``, ``'warn'`` or ``'stop'``, over :data:`ACTIONS`; ``non_finite`` may be ``'skip'``.

    Raises:
        UserError: For an unknown sign or action; and out of training, where a sign stops it.
    """

    priority = 'ABOVE_NORMAL'  # before CheckpointHook and the moving average of the iteration's weights

    def __init__(
        self,
        interval: int = 50,
        warmup: int | None = None,
        ratio: float = 5.0,
        share: float = 0.95,
        drift: float = 0.5,
        explosion: float = 1e3,
        patience: int = 50,
        actions: Mapping[str, str] | None = None,
    ) -> None:
        self.actions = {**ACTIONS, **(actions or {})}
        for sign, action in self.actions.items():
            known = (OFF, WARN, STOP) + ((SKIP,) if sign == 'non_finite' else ())
            if sign not in ACTIONS or action not in known:
                raise UserError(
                    f'HealthHook: actions has {sign}={action!r}; signs are {", ".join(ACTIONS)}, and each may be '
                    f'{", ".join(known)}.'
                )
        self.interval, self.warmup = interval, warmup
        self.ratio, self.share, self.drift, self.explosion, self.patience = ratio, share, drift, explosion, patience
        self.seen: dict[str, list[Tensor]] = {}
        self.since_step = self.skipped = 0
        self.smallest, self.broken, self.handles = float('inf'), None, []

    def before_train(self, runner) -> None:
        """Watch the optimizer's steps."""
        if self.warmup is None:
            self.warmup = min(500, runner.max_iters // 10)
        optimizer = runner.optim_wrapper.optimizer
        self.names = {id(value): name for name, value in unwrap(runner.model).named_parameters()}
        self.handles = [
            optimizer.register_step_pre_hook(self._look_at_gradients),
            optimizer.register_step_post_hook(self._note_step),
        ]

    def after_train(self, runner) -> None:
        """Watch no longer."""
        for handle in self.handles:
            handle.remove()

    def _look_at_gradients(self, optimizer, *args) -> None:
        """Leave out a step whose gradient is not finite, before a weight is; a weight decay does not act either."""
        if self.actions['non_finite'] == OFF:
            return
        values = [value for group in optimizer.param_groups for value in group['params'] if value.grad is not None]
        if not values or bool(torch.stack(torch._foreach_norm([value.grad for value in values])).isfinite().all()):
            return
        first = next(value for value in values if not value.grad.isfinite().all())
        self.broken = self.names.get(id(first), 'a parameter')
        for value in values:
            value.grad = None

    def _note_step(self, *args) -> None:
        self.since_step = 0

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Look at this iteration's losses; at the interval at all else."""
        self.since_step += 1
        outputs = {name: torch.as_tensor(value) for name, value in (outputs or {}).items()}
        self._check_finite(runner, outputs)
        for name, value in outputs.items():
            self.seen.setdefault(name, []).append(value.detach())
        if self.since_step >= self.patience:
            self._tell(
                runner,
                'no_step',
                f'the optimizer has not stepped for {self.since_step} iterations: with a loss scale all gradients '
                'overflow, so lower its start (loss_scale of optim_wrapper) or train in bfloat16; while gradients '
                'accumulate, patience of HealthHook must be above accumulative_counts',
            )
            self.since_step = 0
        if (runner.iter + 1) % self.interval == 0:
            means = {name: torch.stack([item.float() for item in items]) for name, items in self.seen.items()}
            self.seen = {}
            self._check_interval(runner, means)

    def _check_finite(self, runner, outputs: Mapping[str, Tensor]) -> None:
        """Losses of the iteration and the gradient of its step."""
        losses = {name: value for name, value in outputs.items() if 'loss' in name}
        if losses and not bool(torch.stack([value.float().cpu() for value in losses.values()]).isfinite().all()):
            terms = [name for name, value in losses.items() if not bool(value.isfinite().all())]
            named = [name for name in terms if name != 'loss'] or terms
            weights = not_finite(unwrap(runner.model))
            cause = f'the weight {weights} is not finite' if weights else f'{", ".join(named[:3])} is not finite'
            self.broken = None
            self._tell(runner, 'non_finite', f'{cause}: {REMEDY}, and look at the images of this step')
        elif self.broken is not None:
            name, self.broken = self.broken, None
            self.skipped += 1
            self._tell(
                runner,
                'non_finite',
                f'the gradient of {name} is not finite, and the step was left out ({self.skipped} so far): {REMEDY}',
            )

    def _check_interval(self, runner, seen: Mapping[str, Tensor]) -> None:
        """What shows over an interval."""
        if 'loss' in seen:
            mean = float(seen['loss'].mean())
            if mean > self.explosion * self.smallest or mean > 1e3 * self.explosion:
                self._tell(runner, 'explosion', f'the loss is {mean:.3g} on average: {REMEDY}')
            self.smallest = min(self.smallest, mean)
        for name, values in seen.items():
            if name.endswith('_grad_ratio') and float(values.max()) > self.ratio:
                self._tell(
                    runner,
                    'gradient_ratio',
                    f'{name} is {float(values.max()):.3g}, so labels are hardly learnt: lower its lambda; '
                    '`sssd calibrate` finds one',
                )
            if name.endswith('distill_share') and float(values.mean()) > self.share:
                self._tell(
                    runner,
                    'distance_share',
                    f'{name} is {float(values.mean()):.3g}, so the distance is all that is learnt: lower lambda_',
                )
            if name.endswith('teacher_above_half') and runner.iter + 1 > self.warmup:
                self._check_teacher(runner, name, values)
        self._check_drift(runner)

    def _check_teacher(self, runner, name: str, values: Tensor) -> None:
        if float(values.max()) == 0:
            what = 'the teacher sees no object in any unlabelled image: train on labels alone for longer first (burn_in'
            self._tell(runner, 'teacher', f'{name} was 0 throughout: {what} of LambdaScheduleHook, or load_from)')
        elif float(values.min()) == 1:
            self._tell(
                runner, 'teacher', f'{name} was 1 throughout: the teacher sees objects everywhere, as none can be'
            )

    def _check_drift(self, runner) -> None:
        model = unwrap(runner.model)
        if self.actions['drift'] == OFF or not (hasattr(model, 'student') and hasattr(model, 'teacher')):
            return
        distance = relative_distance(model.teacher, model.student)
        if not distance <= self.drift:
            self._tell(
                runner,
                'drift',
                f'the teacher is {distance:.3g} of the norm of the weights away from the student: lower alpha or the '
                'learning rate, and see that EMATeacherHook is there',
            )

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Never write weights that are not finite.

        Raises:
            LocalError: Naming the first of them.
        """
        if self.actions['non_finite'] != OFF:
            name = first_not_finite(checkpoint.get('state_dict', {}))
            if name is not None:
                raise LocalError(
                    f'no checkpoint is written, as the weight {name} is not finite: {REMEDY}, and go on from '
                    f'the last one in {runner.work_dir} with --resume.'
                )

    def _tell(self, runner, sign: str, what: str) -> None:
        """Do about a sign what the config says."""
        action, done = self.actions[sign], runner.iter + 1
        if action == STOP:
            raise LocalError(
                f'training stopped after iteration {done} ({sign}): {what}. The last checkpoint in '
                f'{runner.work_dir} is from before; go on from it with --resume.'
            )
        if action != OFF:
            print_log(f'After iteration {done} ({sign}): {what}.', logger='current', level=WARNING)


def not_finite(model: nn.Module) -> str | None:
    """The name of a weight that is NaN or infinite, if any is."""
    return first_not_finite(model.state_dict())


def first_not_finite(state: Mapping[str, Tensor]) -> str | None:
    """The first name whose values are not all finite."""
    return next(
        (name for name, value in state.items() if value.is_floating_point() and not value.isfinite().all()), None
    )


@torch.no_grad()
def relative_distance(teacher: nn.Module, student: nn.Module) -> float:
    """The norm of the difference of two models' parameters over that of the student's."""
    pairs = [(one.float(), other.float()) for one, other in zip(teacher.parameters(), student.parameters())]
    gap = torch.stack([(one - other).norm() for one, other in pairs]).norm()
    return float(gap / torch.stack([other.norm() for _, other in pairs]).norm().clamp(min=1e-12))
