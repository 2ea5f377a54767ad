"""The binary search of SSSD's Sec. 3.2: which lambda gives the distance a wanted share of the whole loss?"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sssd.errors import UserError

#: A bracket that does not hold the target grows by this factor, so many times.
GROWTH, EXPANSIONS = 10.0, 3
#: A bracket whose ends are nearer to each other than this is not halved again.
NARROW = 1.01


@dataclass(frozen=True)
class Trial:
    """One run: the constant lambda, and the mean of lambda L_distill / L_total over its last part."""

    lambda_: float
    share: float


@dataclass(frozen=True)
class Goal:
    """What is searched for, and where.

    Args:
        share: The wanted share, in (0, 1).
        tolerance: How far from it is good enough.
        low: Smaller end of the first bracket, above 0.
        high: Larger end of it.

    Raises:
        UserError: If a number is not of its range.
    """

    share: float = 0.45
    tolerance: float = 0.02
    low: float = 1.0
    high: float = 200.0

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise UserError(
                f'--share is {self.share:g}, but a share of the loss lies between 0 and 1, ends excluded; '
                'the paper has 0.45.'
            )
        if not 0 < self.tolerance < 0.5:
            raise UserError(
                f'--tolerance is {self.tolerance:g}, but it is a difference of shares and lies between 0 '
                'and 0.5, ends excluded; try 0.02.'
            )
        if not 0 < self.low < self.high < math.inf:
            raise UserError(f'--low {self.low:g} and --high {self.high:g} are no bracket: give 0 < low < high.')

    def met_by(self, trial: Trial) -> bool:
        """Whether a trial is good enough."""
        return abs(trial.share - self.share) <= self.tolerance


def find_lambda(measure: Callable[[float], float], goal: Goal) -> Trial:
    """Halve a bracket on a logarithmic scale until a trial's share is the wanted one.

    The share is taken to grow with lambda. If the ends of the first bracket do not enclose the wanted share, the
    bracket moves on by factors of :data:`GROWTH`.

    Args:
        measure: From lambda to its share; called once for each lambda, which has four significant digits.
        goal: What to look for.

    Returns:
        The first trial that is good enough.

    Raises:
        UserError: If the share is out of reach, or jumps over the goal.
    """
    below: Trial | None = None
    above: Trial | None = None
    while True:
        if below and above and above.lambda_ / below.lambda_ < NARROW:
            raise UserError(
                f'no lambda has a share of {goal.share:g} ± {goal.tolerance:g}: it is {below.share:.3f} '
                f'at {below.lambda_:g} and {above.share:.3f} at {above.lambda_:g}; give more --iterations '
                'or a larger --tolerance.'
            )
        trial = Trial(*_measured(measure, _next(goal, below, above)))
        if goal.met_by(trial):
            return trial
        if trial.share < goal.share:
            below = trial
        else:
            above = trial


def _measured(measure: Callable[[float], float], lambda_: float) -> tuple[float, float]:
    lambda_ = rounded(lambda_)
    return lambda_, measure(lambda_)


def _next(goal: Goal, below: Trial | None, above: Trial | None) -> float:
    """The lambda to try next: the ends of the bracket, then beyond one of them, or between two trials."""
    if below and above:
        return math.sqrt(below.lambda_ * above.lambda_)
    if not below and not above:
        return goal.low
    edge, beyond = (below, goal.high) if below else (above, goal.low)
    step = GROWTH if below else 1 / GROWTH
    lambda_ = goal.high if edge is below and edge.lambda_ < goal.high else edge.lambda_ * step
    if abs(math.log(lambda_ / beyond)) > EXPANSIONS * math.log(GROWTH) + 1e-3:
        raise UserError(
            f'a share of {goal.share:g} is out of reach: it is still {edge.share:.3f} at lambda '
            f'{edge.lambda_:g}; give another --share, or --low and --high around another range.'
        )
    return lambda_


def rounded(value: float) -> float:
    """A number with four significant digits, as it is trained with, printed and written."""
    return float(f'{value:.4g}')


def runs_left(goal: Goal, trials: Sequence[Trial]) -> int:
    """About how many trials a search still needs: every one halves the distance of the bracket's shares.

    Args:
        goal: What is looked for.
        trials: The trials so far.
    """
    if any(goal.met_by(trial) for trial in trials):
        return 0
    below, above = (list(side) for side in _sides(goal, trials))
    low, high = max(below, default=0.0), min(above, default=1.0)
    ends = (not below) + (not above)
    return ends + max(1, math.ceil(math.log2((high - low) / goal.tolerance)))


def _sides(goal: Goal, trials: Sequence[Trial]) -> Iterator[Sequence[float]]:
    """Shares below the goal, then those above it."""
    yield [trial.share for trial in trials if trial.share < goal.share]
    yield [trial.share for trial in trials if trial.share >= goal.share]
