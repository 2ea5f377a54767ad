"""How long runs take: what their configs make of them, in proportion to what others took."""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from statistics import mean
from typing import NamedTuple

from mmengine.config import Config

#: What an image costs in training, in those that a plain detector is trained on by its labels. With labels and a guide:
#: 1.6 (LGD) to 2 (SSSD) in `benchmarks/results/bccd_guided.json`. Without labels: the student on the strong view and on
#: one of half the size, and the teacher's forward pass, 1 + 1/4 + 1/3; so an iteration of SED, one to one, costs 2.6.
#: A further look of the teacher at it, in its size: another forward pass.
GUIDED, UNLABELED, LOOK = 1.9, 1.6, 1 / 3
#: The branch that only unlabelled images have.
BRANCH = 'unsup_student'


class Cost(NamedTuple):
    """What the iterations (or epochs) of a training cost, in labelled images of a plain detector.

    Attributes:
        iteration: One with everything.
        labels_alone: One of the burn-in, in which unlabelled images take no part.
        burn_in: How many of these it begins with; 0 where it counts epochs.
    """

    iteration: float
    labels_alone: float
    burn_in: int

    @classmethod
    def of(cls, config: Config) -> 'Cost':
        """The cost of a config."""
        length = 0 if Extent.of(config).by_epoch else burn_in(config)
        return cls(iteration_cost(config), iteration_cost(config, labels_alone=True), length)

    def parts(self, begin: float, end: float) -> tuple[float, float]:
        """How many of the iterations from ``begin`` until ``end`` are of the burn-in, and how many are not."""
        early = max(0, min(self.burn_in, end) - begin)
        return early, max(0, end - begin - early)

    def between(self, begin: int, end: int) -> float:
        """That of all iterations from ``begin`` until ``end``."""
        early, late = self.parts(begin, end)
        return early * self.labels_alone + late * self.iteration


class Measured(NamedTuple):
    """Seconds of iterations, added up, and how many these are."""

    seconds: float = 0.0
    count: int = 0

    def and_one(self, seconds: float) -> 'Measured':
        """With one more."""
        return Measured(self.seconds + seconds, self.count + 1)

    @property
    def mean(self) -> float:
        """Seconds of one; 0 where there is none."""
        return self.seconds / max(self.count, 1)


class Pace:
    """Seconds of iterations to come, by those that were measured: apart in the burn-in, whose steps are shorter.

    Before the first of a kind was measured, it is in proportion to the other kind's by their cost.
    """

    def __init__(self, cost: Cost) -> None:
        self.cost = cost
        self._early, self._late = Measured(), Measured()

    def add(self, step: int, seconds: float, window: int = 1) -> None:
        """So many iterations up to number ``step`` took so many seconds each; what is of both kinds tells nothing."""
        if step <= self.cost.burn_in:
            self._early = self._early.and_one(seconds)
        elif not self._early.count or step - window >= self.cost.burn_in:
            self._late = self._late.and_one(seconds)

    def between(self, begin: float, end: float) -> float:
        """Seconds of all iterations from ``begin`` until ``end``; 0 where nothing was measured."""
        ratio = self.cost.iteration / self.cost.labels_alone if self.cost.labels_alone else 1.0
        short = self._early.mean if self._early.count else self._late.mean / ratio
        long = self._late.mean if self._late.count else short * ratio
        early, late = self.cost.parts(begin, end)
        return early * short + late * long

    def __bool__(self) -> bool:
        """Whether anything was measured."""
        return bool(self._early.count or self._late.count)


def burn_in(config: Config) -> int:
    """Iterations with which a config begins in which unlabelled images take no part.

    Those of :class:`~sssd.hooks.LambdaScheduleHook`, if it sets every weight that the model has for them.
    """
    weights = ['lambda_s', 'lambda_d', *(['lambda_p'] if (config.get('model') or {}).get('pseudo_labels') else [])]
    hooks = [hook for hook in config.get('custom_hooks') or [] if str(hook.get('type')).endswith('LambdaScheduleHook')]
    lengths = [hook.get('burn_in') for hook in hooks if all(name in hook for name in weights)]
    return max((length for length in lengths if isinstance(length, int)), default=0)


def iteration_cost(config: Config, labels_alone: bool = False) -> float:
    """What one training iteration of a config costs, in labelled images of a plain detector.

    Args:
        config: A config.
        labels_alone: Whether it is an iteration in which unlabelled images take no part.
    """
    loader = config.get('train_dataloader') or {}
    batch = loader.get('batch_size') or 1
    model = config.get('model') or {}
    kind = str(model.get('type'))
    labeled = GUIDED if kind.endswith('GuidedDetector') or model.get('guidance') is not None else 1.0
    if not kind.endswith('SED') or not holds_key(loader.get('dataset'), BRANCH):
        return batch * labeled
    ratio = (loader.get('sampler') or {}).get('source_ratio') or [1, 1]
    share = ratio[0] / sum(ratio)
    looks = sum(size**2 for size in (model.get('pseudo_labels') or {}).get('sizes') or ())
    return batch * (share * labeled + (1 - share) * (0.0 if labels_alone else UNLABELED + LOOK * looks))


def holds_key(config, key: str) -> bool:
    """Whether a part of a config has a key, however deep."""
    if isinstance(config, dict):
        return key in config or any(holds_key(value, key) for value in config.values())
    return isinstance(config, (list, tuple)) and any(holds_key(value, key) for value in config)


class Extent(NamedTuple):
    """How long a config trains.

    Attributes:
        length: Iterations, or epochs.
        by_epoch: Whether it is epochs.
        val_interval: Iterations (epochs) from one evaluation to the next.
    """

    length: int
    by_epoch: bool
    val_interval: int

    @classmethod
    def of(cls, config: Config) -> 'Extent':
        """The extent of a config, with MMEngine's defaults."""
        train = config.get('train_cfg') or {}
        by_epoch = not train.get('max_iters') and bool(train.get('max_epochs'))
        length = train.get('max_iters') or train.get('max_epochs') or 0
        return cls(length, by_epoch, train.get('val_interval') or (1 if by_epoch else 1000))

    def evaluations(self, begin: int = 0) -> int:
        """Evaluations after so many iterations (epochs); the end always has one."""
        return max(0, -(-self.length // self.val_interval) - begin // self.val_interval)


class Work(NamedTuple):
    """A process of a study: the run that it belongs to, what it trains in any unit of cost, and its evaluations."""

    name: str
    cost: float
    evaluations: int


class Taken(NamedTuple):
    """Seconds that a process took, or will have taken: to start, to train, and for one evaluation (None: unknown)."""

    start: float | None
    training: float
    evaluation: float | None


class Forecast:
    """Seconds that processes will take, by what others took.

    Training is in proportion to its cost: that of runs of the same name tells, else that of all. To start and to
    evaluate takes as long for every run; where it was not measured yet, it counts nothing.
    """

    def __init__(self) -> None:
        self._trainings: dict[str, list[tuple[float, float]]] = {}
        self._starts: list[float] = []
        self._evaluations: list[float] = []

    @property
    def evaluation(self) -> float | None:
        """Seconds of an evaluation, if one was measured."""
        return mean(self._evaluations) if self._evaluations else None

    def learn(self, work: Work, taken: Taken) -> None:
        """A process was measured."""
        if work.cost > 0:
            self._trainings.setdefault(work.name, []).append((work.cost, taken.training))
        self._starts += [] if taken.start is None else [taken.start]
        self._evaluations += [] if taken.evaluation is None else [taken.evaluation]

    def seconds(self, work: Work) -> float | None:
        """Seconds of a process to come; None where no training was measured yet."""
        pairs = self._trainings.get(work.name) or sum(self._trainings.values(), [])
        if not pairs:
            return None
        rate = sum(seconds for _, seconds in pairs) / sum(cost for cost, _ in pairs)
        start = mean(self._starts) if self._starts else 0.0
        return start + work.cost * rate + work.evaluations * (self.evaluation or 0.0)

    def with_running(self, running: Sequence[tuple[Work, Taken | None]]) -> 'Forecast':
        """This, and what processes under way will have taken, where nothing of their name has been measured."""
        known = Forecast()
        known._trainings = {name: list(pairs) for name, pairs in self._trainings.items()}
        known._starts, known._evaluations = list(self._starts), list(self._evaluations)
        for work, taken in running:
            if taken is not None and work.name not in self._trainings:
                known.learn(work, taken)
        return known

    def left(self, works: Sequence[Work], elapsed: float, left: float | None, taken: Taken | None) -> float | None:
        """Seconds until all is done.

        Args:
            works: The process under way, then those to come.
            elapsed: Seconds that the one under way has taken.
            left: Seconds that it still takes, by its own account; None where it gives none.
            taken: What it will have taken, by its own account; for want of finished runs of its name.

        Returns:
            Seconds, or None where nothing is known yet.
        """
        now, *later = works
        known = self.with_running([(now, taken)])
        if left is None:
            whole = known.seconds(now)
            left = None if whole is None else max(0.0, whole - elapsed)
        seconds = [left, *map(known.seconds, later)]
        return None if None in seconds else sum(seconds)


def end_of(running: Sequence[float], later: Sequence[float], places: int) -> float:
    """Seconds until all is done where so many runs go on at once and the next begins where one ends.

    Args:
        running: Seconds that those under way still take.
        later: Seconds of those to come, in order.
        places: Runs at once.
    """
    free = [*running, *[0.0] * (places - len(running))]
    heapify(free)
    for seconds in later:
        heappush(free, heappop(free) + seconds)
    return max(free)
