"""Loss weights found while training, from the gradients that they weigh."""

import logging

from mmengine.hooks import Hook, LoggerHook
from mmengine.logging import print_log

from sssd.errors import UserError
from sssd.hooks.ema_teacher import unwrap
from sssd.registry import HOOKS

#: The weight of each branch, as attributes of the model.
WEIGHTS = dict(scale='lambda_s', distill='lambda_d', pseudo='lambda_p', guide='lambda_')
KEY = 'calibrated_lambdas'
NOTHING = (0, 0.0, 0.0)
#: A branch is given up after so many times ``batches`` iterations: where parts are compiled, or nothing shared trains.
#: One that can be measured, and only pulls at nothing, is from then on looked at once an interval.
PATIENCE = 3


@HOOKS.register_module()
class CalibrateLambdaHook(Hook):
    """Sets ``lambda_s``, ``lambda_d``, ``lambda_p`` or ``lambda_`` so that a branch pulls as hard as is wanted.

    A lambda that suits one detector is wrong for another (docs/calibration.md). This hook measures, from the first
    iteration on in which a branch has a weight, the norm of its gradient over that of the supervised loss, as
    ``<branch>_grad_ratio`` of :class:`~sssd.hooks.GradientRatioHook` does. Both norms are averaged, and the weight is
    ``ratio * mean(supervised) / mean(branch at weight 1)``. The first iterations of a branch are not typical: until
    the student has learnt to agree with itself it pulls two to four times as hard. So ``settle`` iterations after the
    first ``batches`` measurements as many are taken anew, and then the weight stays; with ``hold`` it goes on
    following instead, by a moving average over about as many.

    What :class:`~sssd.hooks.LambdaScheduleHook` sets multiplies the weight that is found, so it should be 1 where the
    ratio is wanted, 0 where a branch is off, and a ramp stays a ramp. The averages are part of the checkpoint, and the
    same on all ranks. A measured iteration takes some more memory than others, as one of GradientRatioHook does.
    Where gradients cannot be measured (see :class:`~sssd.hooks.GradientRatioHook`) the weights stay those of the
    schedule, and the log says so.

    Args:
        batches: Measurements that make a weight, or over which the moving average goes.
        settle: Iterations after which the weight is found anew; 0 leaves it as it was found first.
        hold: Go on for the whole training; ``settle`` has no part in it.
        interval: Iterations between measurements after the first ``batches``; by default LoggerHook's interval.
        **ratios: Wanted ratio of a branch: ``scale``, ``distill``, ``pseudo``, ``guide``.

    Raises:
        UserError: If a branch is unknown, a number is out of range or, when training starts, the model has no such
            branch.
    """

    priority = 55  # after LambdaScheduleHook and GradientRatioHook, before LoggerHook

    def __init__(
        self, batches: int = 20, settle: int = 100, hold: bool = False, interval: int | None = None, **ratios: float
    ) -> None:
        for name, value, least in (('batches', batches, 1), ('settle', settle, 0), ('interval', interval or 1, 1)):
            if not isinstance(value, int) or value < least:
                raise UserError(
                    f'CalibrateLambdaHook: {name} is {value!r}, but must be a whole number of at least {least}.'
                )
        if not ratios or set(ratios) - set(WEIGHTS):
            raise UserError(
                f'CalibrateLambdaHook: its ratios are {", ".join(ratios) or "none"}; name at least one of '
                f'{", ".join(WEIGHTS)}, such as distill=0.5.'
            )
        for name, value in ratios.items():
            if not isinstance(value, (int, float)) or not 0 < value < float('inf'):
                raise UserError(
                    f'CalibrateLambdaHook: {name} is {value!r}, but a ratio of gradients is a number above 0; 0.3 to 1 '
                    'is where to begin, and a branch is turned off by its weight in LambdaScheduleHook.'
                )
        self.batches, self.hold, self.interval, self.ratios = batches, hold, interval, dict(ratios)
        self.settle = 0 if hold else settle
        # of each branch: measurements so far, and the means of its norm at weight 1 and of the supervised norm
        self.means: dict[str, list] = {}
        self.set: dict[str, float] = {}
        # the iteration from which a branch is measured anew, and its weight until that is done
        self.again: dict[str, int] = {}
        self.first: dict[str, float] = {}
        self.tries = dict.fromkeys(ratios, 0)
        self.measured: set[str] = set()  # branches whose gradient could be measured, be it 0

    def before_train(self, runner) -> None:
        """Check that the model has the branches, and find the interval of the log."""
        model = unwrap(runner.model)
        for name in self.ratios:
            if not (hasattr(model, 'measure_gradients') and hasattr(model, WEIGHTS[name])):
                raise UserError(
                    f'CalibrateLambdaHook: {type(model).__name__} has no branch {name!r}; SED has scale and distill, '
                    'with pseudo_labels pseudo, GuidedDetector and SED with guidance have guide.'
                )
        if self.interval is None:
            self.interval = next((hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)), 50)

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Multiply the weights that are set, and have the model measure if a measurement is due."""
        model = unwrap(runner.model)
        self.set = {name: getattr(model, WEIGHTS[name]) for name in self.ratios if pulls(model, name)}
        for name, weight in self.set.items():
            self.begin_anew(name, runner.iter)
            setattr(model, WEIGHTS[name], weight * self.found(name))
        if any(self.due(name, runner.iter) for name in self.set):
            model.gradient_norms = None
            model.begin_measuring(runner.optim_wrapper)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Take in what was measured, and set the weights of before again."""
        model = unwrap(runner.model)
        norms = (model.gradient_norms or {}) if model.measure_gradients else {}
        for name, weight in self.set.items():
            if self.due(name, runner.iter):
                self.tries[name] += 1
                if name in norms:
                    self.measured.add(name)
                    self.take(name, float(norms[name]) / getattr(model, WEIGHTS[name]), float(norms['sup']))
                    if self.means.get(name, NOTHING)[0] == self.batches:
                        self.again.setdefault(name, runner.iter + 1 + self.settle)
                elif self.tries[name] == PATIENCE * self.batches and name not in self.measured:
                    print_log(
                        f'CalibrateLambdaHook: the gradients of {name} cannot be measured here, so {WEIGHTS[name]} '
                        f'stays {weight:g}: set it by hand in LambdaScheduleHook.',
                        logger='current',
                        level=logging.WARNING,
                    )
            setattr(model, WEIGHTS[name], weight)
        model.measure_gradients = False

    def due(self, name: str, iteration: int) -> bool:
        """Whether a branch is to be measured in an iteration."""
        count = self.means.get(name, NOTHING)[0]
        if count < self.batches and self.tries[name] < PATIENCE * self.batches:
            return True
        goes_on = self.hold if count == self.batches else name in self.measured
        return goes_on and (iteration + 1) % self.interval == 0

    def begin_anew(self, name: str, iteration: int) -> None:
        """Forget the means of a branch once it has settled; its weight stays until there are others."""
        if self.settle and name not in self.first and iteration >= self.again.get(name, iteration + 1):
            self.first[name] = self.found(name)
            self.means.pop(name)
            self.tries[name] = 0

    def take(self, name: str, norm: float, supervised: float) -> None:
        """Average one measurement in; the first ``batches`` weigh the same. A gradient of 0 tells nothing."""
        if not (norm > 0 and supervised > 0):
            return
        self.tries[name] = 0
        count, *means = self.means.get(name, NOTHING)
        count = min(count + 1, self.batches)
        self.means[name] = [count, *(old + (new - old) / count for old, new in zip(means, (norm, supervised)))]

    def found(self, name: str) -> float:
        """The weight with which a branch has its ratio; 1 before the first measurement."""
        count, norm, supervised = self.means.get(name, NOTHING)
        if name in self.first and count < self.batches:
            return self.first[name]
        return self.ratios[name] * supervised / norm if count else 1.0

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Keep the averages."""
        checkpoint[KEY] = dict(
            means={name: list(values) for name, values in self.means.items()},
            tries=dict(self.tries),
            measured=sorted(self.measured),
            again=dict(self.again),
            first=dict(self.first),
        )

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Take them up again where a training is resumed."""
        if runner._resume:
            kept = checkpoint.get(KEY) or dict(means={}, tries={})
            self.means = {name: list(values) for name, values in kept['means'].items()}
            self.tries.update(kept['tries'])
            self.measured = set(kept.get('measured', ()))
            self.again, self.first = dict(kept.get('again', {})), dict(kept.get('first', {}))


def pulls(model, name: str) -> bool:
    """Whether a branch has a weight, and its gradient reaches the student."""
    return getattr(model, WEIGHTS[name]) > 0 and (name != 'guide' or model.student_grad > 0)
