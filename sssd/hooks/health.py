"""Signs of a training that has gone wrong, told while something can be done."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from logging import WARNING
from typing import Any

import torch
from mmengine.hooks import Hook, LoggerHook
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
#: A loss, or a mean of it, below which nothing has exploded, however small it has been.
FLOOR = 1.0
#: Share of rows with an object from which the teacher sees objects everywhere.
EVERYWHERE = 0.95
REMEDY = 'lower the learning rate, or set clip_grad=dict(max_norm=10) in optim_wrapper'


@HOOKS.register_module()
class HealthHook(Hook):
    """Watches a training for the ways in which it goes wrong without stopping by itself.

    ====================  ==========================================================================================
    sign                  what is watched
    ====================  ==========================================================================================
    ``non_finite``        an image, a box, a loss term, a gradient or a weight that is NaN or infinite; ``'skip'``
                          leaves such a step out
    ``explosion``         a loss more than ``explosion`` times the smallest mean of an interval (and than 1), or weights
                          so many times as large as at the start
    ``gradient_ratio``    ``*_grad_ratio`` above ``ratio``, or ``unsup_over_sup`` above 20 times that: labels are
                          hardly learnt then
    ``distance_share``    the distance's share of a guided loss above ``share``
    ``teacher``           ``*_teacher_above_half`` 0, or nearly 1, throughout an interval after the warm-up
    ``drift``             the teacher further from the student than ``drift`` times the student's norm, or unmoved
                          while the student moves
    ``no_step``           no step of the optimizer for ``patience`` iterations
    ====================  ==========================================================================================

    A training that is stopped writes no further checkpoint, so the last good one stays.  What is warned of again and
    again is told the first time, the second, the fourth, and so on.

    Args:
        interval: Iterations between two looks at what is no matter of a single iteration, the last one of which is at
            the end; None is LoggerHook's interval, but from 5 to 50.
        warmup: Iterations in which the teacher may see nothing, from the first in which its share is logged; None is a
            tenth of the training, at most 500.
        ratio, share, drift, explosion: As above.
        patience: As above; None is the interval, but at least 10, and twice the number of accumulated gradients.
        actions: To a sign ``'off'``, ``'warn'`` or ``'stop'``, over :data:`ACTIONS`; ``non_finite`` may be ``'skip'``.

    Raises:
        UserError: For an unknown sign or action; and out of training, where a sign stops it.
    """

    priority = 'ABOVE_NORMAL'  # before CheckpointHook and the moving average of the iteration's weights

    def __init__(
        self,
        interval: int | None = None,
        warmup: int | None = None,
        ratio: float = 5.0,
        share: float = 0.95,
        drift: float = 0.5,
        explosion: float = 1e3,
        patience: int | None = None,
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
        self.since_step = self.skipped = self.steps = 0
        self.smallest, self.broken, self.handles = float('inf'), None, []
        self.first_norm, self.before, self.teaching, self.told = None, None, 0, Counter()

    def before_train(self, runner) -> None:
        """Watch the optimizer's steps, and find the lengths that are not given."""
        if self.warmup is None:
            self.warmup = min(500, runner.max_iters // 10)
        if self.interval is None:
            logged = next((hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)), 50)
            self.interval = min(max(logged, 5), 50)
        if self.patience is None:
            counts = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
            self.patience = max(self.interval, 10, 2 * counts if counts < runner.max_iters else 0)
        optimizer, model = runner.optim_wrapper.optimizer, unwrap(runner.model)
        self.first_norm = float(norms(model).norm())
        self.names = {id(value): name for name, value in model.named_parameters()}
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
        if self.actions['non_finite'] == OFF or getattr(optimizer, 'found_inf', None) is not None:
            return  # a fused optimizer is given what the loss scale found, and leaves such a step out itself
        values = [value for group in optimizer.param_groups for value in group['params'] if value.grad is not None]
        if not values or bool(torch.stack(torch._foreach_norm([value.grad for value in values])).isfinite().all()):
            return
        first = next(value for value in values if not value.grad.isfinite().all())
        self.broken = self.names.get(id(first), 'a parameter')
        for value in values:
            value.grad = None

    def _note_step(self, *args) -> None:
        self.since_step = 0
        self.steps += 1

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Look at the images, if they are no whole numbers, and at the boxes."""
        model = unwrap(runner.model)
        if self.before is None and hasattr(model, 'student') and hasattr(model, 'teacher'):
            self.before = norms(model.teacher), norms(model.student)
        if self.actions['non_finite'] == OFF:
            return
        for what, values, sample in parts_of(data_batch):
            if not bool(values.isfinite().all()):
                image = getattr(sample, 'img_path', None) or getattr(sample, 'img_id', None)
                where = '' if image is None else f' of image {image}'
                self._tell(runner, 'non_finite', f'{what}{where} has values that are not finite: mend or remove it')

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
        if (runner.iter + 1) % self.interval == 0 or runner.iter + 1 == runner.max_iters:
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
        elif 'loss' in outputs and float(outputs['loss'].detach()) > 1e3 * self.explosion:
            self._tell(runner, 'explosion', said_of_loss(outputs))
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
            if mean > self.explosion * max(self.smallest, FLOOR):
                self._tell(runner, 'explosion', said_of_loss({name: values.mean() for name, values in seen.items()}))
            self.smallest = min(self.smallest, mean)
        for name, values in seen.items():
            self._check_shares(runner, name, values)
        shares = {name: values for name, values in seen.items() if name.endswith('teacher_above_half')}
        self.teaching += max(map(len, shares.values()), default=0)
        for name, values in shares.items() if self.teaching > self.warmup else ():
            self._check_teacher(runner, name, values)
        self._check_weights(runner)
        self._check_drift(runner)

    def _check_shares(self, runner, name: str, values: Tensor) -> None:
        """Is one part of the loss all that is learnt?"""
        measured = name.endswith('_grad_ratio')  # once in an interval
        value = float(values.max() if measured else values.median())
        if name.endswith(('_grad_ratio', 'unsup_over_sup')) and value > self.ratio * (1 if measured else 20):
            self._tell(
                runner,
                'gradient_ratio',
                f'{name} is {value:.3g}, so labels are hardly learnt: lower its lambda; `sssd calibrate` finds one',
            )
        if name.endswith('distill_share') and float(values.mean()) > self.share:
            self._tell(
                runner,
                'distance_share',
                f'{name} is {float(values.mean()):.3g}, so the distance is all that is learnt: lower lambda_',
            )

    def _check_teacher(self, runner, name: str, values: Tensor) -> None:
        if float(values.max()) == 0:
            what = 'the teacher sees no object in any unlabelled image: train on labels alone for longer first (burn_in'
            self._tell(runner, 'teacher', f'{name} was 0 throughout: {what} of LambdaScheduleHook, or load_from)')
        elif float(values.min()) >= EVERYWHERE:
            said = f'{name} was {float(values.min()):.3g} or above throughout'
            self._tell(runner, 'teacher', f'{said}: the teacher sees objects everywhere, as none can be')

    def _check_weights(self, runner) -> None:
        """Weights that no loss shows: of a part that is not used, or far too large."""
        if self.actions['non_finite'] != OFF and (name := not_finite(unwrap(runner.model))) is not None:
            self._tell(runner, 'non_finite', f'the weight {name} is not finite: {REMEDY}')
        elif self._has_exploded(runner):
            self._tell(runner, 'explosion', self._said_of_weights())

    def _has_exploded(self, runner) -> bool:
        return bool(self.first_norm) and not float(norms(unwrap(runner.model)).norm()) <= (
            self.explosion * self.first_norm
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
        before, self.before = self.before, (norms(model.teacher), norms(model.student))
        steps, self.steps = self.steps, 0
        # The teacher follows after this hook, so a single step may be to come.
        if before is not None and steps > 1 and before[0].equal(self.before[0]) and not before[1].equal(self.before[1]):
            self._tell(
                runner,
                'drift',
                'the teacher does not move while the student does: alpha of EMATeacherHook must be below 1',
            )

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Never write weights that are not finite, or have exploded.

        Raises:
            LocalError: Naming the first of them.
        """
        if self.actions['non_finite'] != OFF:
            buffers = {name for name, _ in unwrap(runner.model).named_buffers()}
            name = first_not_finite(checkpoint.get('state_dict', {}), buffers)
            if name is not None:
                raise LocalError(
                    f'no checkpoint is written, as the weight {name} is not finite: {REMEDY}, and go on from '
                    f'the last one in {runner.work_dir} with --resume.'
                )
        if self.actions['explosion'] == STOP and self._has_exploded(runner):
            self._tell(runner, 'explosion', self._said_of_weights())

    def _said_of_weights(self) -> str:
        return f'the weights are more than {self.explosion:.3g} times those of the start: {REMEDY}'

    def _tell(self, runner, sign: str, what: str) -> None:
        """Do about a sign what the config says."""
        action, done = self.actions[sign], runner.iter + 1
        if action == STOP:
            raise LocalError(
                f'training stopped after iteration {done} ({sign}): {what}. The last checkpoint in '
                f'{runner.work_dir} is from before; go on from it with --resume.'
            )
        if action == OFF:
            return
        self.told[sign] += 1
        if action == SKIP or self.told[sign] & (self.told[sign] - 1) == 0:
            print_log(f'After iteration {done} ({sign}): {what}.', logger='current', level=WARNING)


def said_of_loss(values: Mapping[str, Tensor]) -> str:
    """What is said of a loss that is far too large: the largest of its terms, too."""
    terms = {name: float(value.detach()) for name, value in values.items() if 'loss' in name and name != 'loss'}
    largest = max(terms, key=terms.get, default=None)
    of_it = f', {terms[largest]:.3g} of it {largest}, whose weight may be too large' if terms else ''
    return f'the loss is {float(values["loss"].detach()):.3g}{of_it}: {REMEDY}'


def not_finite(model: nn.Module) -> str | None:
    """The name of a weight that is NaN or infinite, or of a buffer that is NaN: some hold infinity on purpose."""
    return first_not_finite(model.state_dict(), {name for name, _ in model.named_buffers()})


def first_not_finite(state: Mapping[str, Any], buffers: Collection[str] = ()) -> str | None:
    """The first name whose values are not all finite; of ``buffers`` those that are NaN."""
    for name, value in state.items():
        if isinstance(value, Tensor) and value.is_floating_point():
            good = ~value.isnan() if name in buffers else value.isfinite()
            if not bool(good.all()):
                return name
    return None


def parts_of(batch: Any, branch: str = '') -> Iterator[tuple[str, Tensor, Any]]:
    """Floating-point images and boxes of a batch, of all its branches: what it is, its values, its data sample."""
    if not isinstance(batch, Mapping):
        return
    inputs, samples = batch.get('inputs'), batch.get('data_samples')
    if isinstance(inputs, Mapping):
        for name, values in inputs.items():
            yield from parts_of(dict(inputs=values, data_samples=(samples or {}).get(name)), f'{name} ')
        return
    samples = list(samples or ())
    for number, image in enumerate(inputs if inputs is not None else ()):
        if isinstance(image, Tensor) and image.is_floating_point():
            yield f'the {branch}image', image, samples[number] if number < len(samples) else None
    for sample in samples:
        boxes = getattr(getattr(sample, 'gt_instances', None), 'bboxes', None)
        boxes = getattr(boxes, 'tensor', boxes)
        if isinstance(boxes, Tensor):
            yield f'a {branch}box', boxes, sample


@torch.no_grad()
def norms(model: nn.Module) -> Tensor:
    """The norms of a model's parameters, one after the other."""
    return torch.stack([value.float().norm() for value in model.parameters()])


@torch.no_grad()
def relative_distance(teacher: nn.Module, student: nn.Module) -> float:
    """The norm of the difference of two models' parameters over that of the student's."""
    pairs = [(one.float(), other.float()) for one, other in zip(teacher.parameters(), student.parameters())]
    gap = torch.stack([(one - other).norm() for one, other in pairs]).norm()
    return float(gap / torch.stack([other.norm() for _, other in pairs]).norm().clamp(min=1e-12))
