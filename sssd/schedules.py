"""Schedules: pure functions of training progress, for lambda, alpha and the like.

A schedule knows nothing of who uses it. Hooks make the :class:`Progress` and carry the value to the
model or to the EMA teacher, so the same object may drive all of them (SED Table 9, SSSD Sec. 2.2).
"""

import math
from dataclasses import dataclass

from sssd.errors import UserError
from sssd.registry import SCHEDULES


@dataclass(frozen=True)
class Progress:
    """Where training stands.

    Args:
        iteration: Iterations done before the present one.
        total: Iterations of the whole training.
        lr: Present learning rate of the first parameter group.
        peak_lr: Largest learning rate seen so far. Warm-up raises it, so warm-up is never taken for decay.
    """

    iteration: int
    total: int
    lr: float = 1.0
    peak_lr: float = 1.0

    @property
    def fraction(self) -> float:
        """Share of training that is done, in [0, 1]."""
        return min(self.iteration / max(self.total, 1), 1.0)

    @property
    def lr_ratio(self) -> float:
        """Learning rate over its peak so far, in [0, 1]; 1 during warm-up and before the first decay."""
        return self.lr / self.peak_lr if self.peak_lr > 0 else 1.0


@SCHEDULES.register_module()
class Constant:
    """The same value throughout (Table 9, policy "None")."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self, progress: Progress) -> float:
        return self.value


@SCHEDULES.register_module()
class StepAtDecay:
    """``start`` until the learning rate has decayed, ``end`` from then on (Table 9, policy "Step").

    Args:
        start: Value before the decay.
        end: Value after it.
        threshold: The learning rate counts as decayed once it is at or below this share of its peak. The default
            0.5 is met by the first milestone of a MultiStepLR whose gamma is 0.5 or less; for a cosine schedule the
            threshold is the point of the switch.

    Raises:
        UserError: If the threshold is not in (0, 1).
    """

    def __init__(self, start: float, end: float, threshold: float = 0.5) -> None:
        if not 0 < threshold < 1:
            raise UserError(
                f'StepAtDecay: threshold is {threshold}, but a share of the peak learning rate '
                'lies in (0, 1); 0.5 suits MultiStepLR.'
            )
        self.start, self.end, self.threshold = start, end, threshold

    def __call__(self, progress: Progress) -> float:
        decayed = progress.lr_ratio <= self.threshold * (1 + 1e-6)  # a scheduler's products are not exact
        return self.end if decayed else self.start


@SCHEDULES.register_module()
class Cosine:
    """Cosine annealing from ``start`` to ``end`` over the whole training (Table 9, policy "Cosine")."""

    def __init__(self, start: float, end: float) -> None:
        self.start, self.end = start, end

    def __call__(self, progress: Progress) -> float:
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * progress.fraction)) / 2


@SCHEDULES.register_module()
class Ramp:
    """Zero for ``begin`` iterations, then a linear rise over ``length`` more to what ``after`` says.

    With ``length=0`` it is a plain switch, the label-only warm-up called burn-in elsewhere.

    Args:
        after: Final value, or the config of a schedule that gives it.
        begin: Iterations at zero.
        length: Iterations of the rise.
    """

    def __init__(self, after, begin: int = 0, length: int = 0) -> None:
        self.after, self.begin, self.length = build_schedule(after), begin, length

    def __call__(self, progress: Progress) -> float:
        done = progress.iteration - self.begin
        share = 0.0 if done < 0 else 1.0 if done >= self.length else done / self.length
        return share * self.after(progress)


def build_schedule(value):
    """Schedule from a number (constant), a config dict or a callable ``Progress -> float``.

    Raises:
        UserError: If the value is none of these.
    """
    if isinstance(value, bool) or not (callable(value) or isinstance(value, (int, float, dict))):
        raise UserError(
            f'A schedule is a number or a dict(type=...), got {value!r}; known types: '
            f'{", ".join(sorted(SCHEDULES.module_dict))}.'
        )
    if callable(value):
        return value
    return SCHEDULES.build(value) if isinstance(value, dict) else Constant(float(value))
