"""How far a training is, by the lines that MMEngine adds to its ``scalars.json``."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from sssd.report.scalars import SINGLE_MODEL, metric_of, read_lines, scalar_files
from sssd.studies.cost import Cost, Extent, Pace, Taken

#: Iterations that the time of a line is the mean of: ``log_processor.window_size`` of configs/_base_.
WINDOW = 50


class Status(NamedTuple):
    """What a process says of itself.

    Attributes:
        text: How far it is, in words that change only if that does.
        left: Seconds that it still takes; None where it does not know.
        taken: What it will have taken; None where it does not know.
    """

    text: str
    left: float | None = None
    taken: Taken | None = None


class Follower:
    """Follows a training from its start on.

    What is left is its own mean time of an iteration times those to come, in a burn-in and after it apart, and the time
    of an evaluation, from the last line before to its own, times those to come. It counts down from line to line, at
    most by what a line should take, so that it stands still where one is late.

    Args:
        work_dir: Where it trains; what earlier trainings logged there does not count.
        extent: How long it trains.
        cost: What its iterations cost.
        resumed: Iterations (epochs) that it begins after.
        evaluation: Seconds that an evaluation took in other runs, if known: until it has one itself.
        clock: Seconds that go on.
    """

    def __init__(
        self,
        work_dir: Path,
        extent: Extent,
        cost: Cost,
        resumed: int = 0,
        evaluation: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.work_dir, self.extent, self.resumed, self.clock = work_dir, extent, resumed, clock
        self._first = resumed
        self._earlier = set(scalar_files(work_dir)) if work_dir.is_dir() else set()
        self._file: Path | None = None
        self._offset = 0
        self._began = self._seen = clock()
        self._elsewhere = evaluation
        self._start: float | None = None
        self._pace = Pace(cost)
        self._evaluations: list[float] = []
        self._record: dict = {}
        self._step = self._interval = self._done = 0
        self._per_epoch = 0.0
        self._aps: dict[str, str] = {}

    def begin(self, resumed: int | None = None) -> None:
        """It begins only now; or it goes on after so many iterations (epochs), and does again what was not saved."""
        self._began = self._seen = self.clock()
        if self._file is not None and resumed is not None:
            self._earlier.add(self._file)
            self._file, self.resumed = None, resumed
            self._record, self._step, self._interval, self._done = {}, 0, 0, 0

    def look(self) -> Status:
        """Read what is new, and tell how far it is."""
        for record in self._new_lines():
            self.add(record)
        return Status(self._text(), self._left(), self.taken())

    def add(self, record: dict) -> None:
        """A line was logged just now."""
        if 'iter' in record:
            self._add_training(record)
        else:
            self._add_evaluation(record)
        self._seen = self.clock()

    def taken(self) -> Taken | None:
        """What it will have taken in all, as far as that can be told; None before it logged a line."""
        total = self._total()
        if total is None:
            return None
        return Taken(self._start, self._pace.between(self._iterations(self._first), total), self._evaluation())

    def _new_lines(self) -> Iterator[dict]:
        files = [path for path in scalar_files(self.work_dir) if path not in self._earlier]
        if not files:
            return
        if files[-1] != self._file:
            self._file, self._offset = files[-1], 0
        with open(self._file, 'rb') as handle:
            handle.seek(self._offset)
            text = handle.read()
        text = text[: text.rfind(b'\n') + 1]  # the last line may be under way
        self._offset += len(text)
        yield from read_lines(text.decode())

    def _add_training(self, record: dict) -> None:
        first, before = not self._record, self._record.get('step', self._iterations(self.resumed))
        self._record, self._step = record, record['step']
        self._interval = max(0, self._step - before)  # a job that was queued again may begin before its last line
        if 'epoch' in record:  # exact where an epoch's last iteration is logged, else by less than a line's iterations
            self._per_epoch = max(self._per_epoch, self._step / record['epoch'])
        if 'time' in record:
            self._pace.add(self._step, record['time'], max(self._interval, WINDOW))
            if first:
                self._start = max(0.0, self.clock() - self._began - self._interval * record['time'])

    def _add_evaluation(self, record: dict) -> None:
        due = self._until_evaluation()
        planned = due < self._interval  # others are by dynamic_intervals
        if self._pace:
            before = self._seconds(due) if planned else 0.0
            self._evaluations.append(max(0.0, self.clock() - self._seen - before))
        if planned:
            self._step += due
            self._done += 1
        self._aps.update(evaluated(record))

    def _iterations(self, length: int) -> float:
        """A number of iterations, or of epochs, in iterations; 0 where an epoch was not seen yet."""
        return length * self._per_epoch if self.extent.by_epoch else length

    def _total(self) -> float | None:
        """The iterations that it ends after; None where it logs no times, or is in its first epoch."""
        known = not self.extent.by_epoch or self._record.get('epoch', 1) > 1
        return self._iterations(self.extent.length) if self._pace and known else None

    def _until_evaluation(self) -> float:
        """Iterations to the next evaluation."""
        interval = self.extent.val_interval
        number = self.resumed // interval + self._done + 1
        return max(0, self._iterations(min(number * interval, self.extent.length)) - self._step)

    def _evaluation(self) -> float | None:
        """Seconds of an evaluation: of its own, else of other runs, else how long the first has been going on."""
        if self._evaluations:
            return mean(self._evaluations)
        if self._elsewhere is not None or not self._pace:
            return self._elsewhere
        late = self.clock() - self._seen - self._seconds(self._until_evaluation())
        return late if late > 0 and self._until_evaluation() < self._interval else None

    def _left(self) -> float | None:
        total = self._total()
        if total is None:
            return None
        evaluation = self._evaluation() or 0.0
        evaluations = max(0, self.extent.evaluations(self.resumed) - self._done)
        due = self._until_evaluation()
        is_next = evaluations and due < self._interval
        line = self._seconds(due) + evaluation if is_next else self._seconds(self._interval)
        waited = min(self.clock() - self._seen, line)
        return max(0.0, self._seconds(max(0.0, total - self._step)) + evaluations * evaluation - waited)

    def _seconds(self, iterations: float) -> float:
        """Seconds of the next so many iterations."""
        return self._pace.between(self._step, self._step + iterations)

    def _text(self) -> str:
        if not self._record:
            return 'starting'
        total = f'/{self.extent.length}' if not self.extent.by_epoch else ''
        words = [f'iteration {self._record["step"]}{total}']
        if self.extent.by_epoch:
            words.insert(0, f'epoch {self._record.get("epoch", "?")}/{self.extent.length}')
        elif not self._until_evaluation() and self.extent.evaluations(self.resumed) > self._done:
            words.append('evaluating')
        if 'loss' in self._record:
            words.append(f'loss {self._record["loss"]:.4f}')
        return ', '.join([*words, *[f'{name} {ap}' for name, ap in self._aps.items()]])


def evaluated(record: dict) -> dict[str, str]:
    """The AP of every model in a line of an evaluation, AP50 where it has no other, in percent."""
    found: dict[str, dict[str, float]] = {}
    for name, value in record.items():
        role, short = metric_of(name) or ('', '')
        found.setdefault(role, {})[short] = value
    told = {}
    for role in sorted(found.keys() - {''}):
        short = 'AP' if 'AP' in found[role] else 'AP50'
        value = found[role].get(short, -1)
        told[short if role == SINGLE_MODEL else f'{role} {short}'] = f'{100 * value:.1f}' if value >= 0 else '-'
    return told
