"""Showing a calibration: a table that grows and a bar on a terminal, lines elsewhere."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

from rich.console import Console, Group
from rich.live import Live
from rich.progress import Progress
from rich.text import Text

from sssd.calibration.ratios import BranchRatio
from sssd.calibration.search import Goal, Trial, runs_left
from sssd.progress import say
from sssd.report.tables import Grid

BAR = 30


def trial_table(goal: Goal, trials: Sequence[Trial], title: str = 'Calibration of lambda') -> Grid:
    """The trials by lambda, each with how far its share is from the wanted one; ``*`` marks those good enough."""
    rows = [
        (
            f'{trial.lambda_:g}',
            f'{trial.share:.3f}',
            f'{trial.share - goal.share:+.3f}',
            '*' if goal.met_by(trial) else '',
        )
        for trial in sorted(trials, key=lambda trial: trial.lambda_)
    ]
    return Grid(title, ('lambda', 'share', 'off by', ''), rows, note=f'wanted: {goal.share:g} ± {goal.tolerance:g}')


def ratio_table(found: Sequence[BranchRatio], wanted: Mapping[str, float], title: str = 'Gradients') -> Grid:
    """The branches with what was measured of their gradients, and the lambda that gives the wanted ratio."""
    rows = [
        (
            row.branch,
            f'{row.supervised:.4g}',
            f'{row.norm:.4g}',
            f'{row.weight:g}',
            f'{row.ratio:.3g}',
            f'{row.spread:.2g}',
            f'{row.cosine:+.2f}',
            *(
                (f'{wanted[row.branch]:g}', f'{row.weight_for(wanted[row.branch]):g}')
                if row.branch in wanted
                else ('', '')
            ),
        )
        for row in found
    ]
    columns = ('branch', 'labels', 'norm', 'at', 'ratio', '±', 'cosine', 'wanted', 'lambda')
    note = (
        "labels, norm: norms of the supervised gradient and of the branch's at the lambda under at; ratio: norm / "
        'labels, ± that of single batches; cosine: between the two; lambda: gives the wanted ratio'
    )
    return Grid(title, columns, rows, note=note)


@contextmanager
def measuring(console: Console, start: int, batches: int) -> Iterator[Callable[[int], None]]:
    """Shows how far a measurement of gradients is: a bar on a terminal, a line elsewhere.

    Gives out a function that takes the number of iterations done.
    """
    text = f'{start} iterations by labels alone, then gradients over {batches} batches'
    if not console.is_terminal:
        say(console, f'{text} ...')
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(text, total=start + batches)
        yield lambda done: bar.update(task, completed=done)


class CalibrationView(AbstractContextManager):
    """Shows the trials so far, the run under way and about how long all of it still takes.

    Args:
        console: Where to.
        goal: What is searched for.
        iterations: Iterations of a run.
        trials: The trials that are known already.
    """

    def __init__(self, console: Console, goal: Goal, iterations: int, trials: Sequence[Trial] = ()) -> None:
        self.console, self.goal, self.iterations = console, goal, iterations
        self.trials: list[Trial] = list(trials)
        self.lambda_, self.done, self.began, self.seconds = None, 0, 0.0, []
        self.live = Live(console=console, transient=True, refresh_per_second=2) if console.is_terminal else None

    def __enter__(self) -> 'CalibrationView':
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(self, *error) -> None:
        """Leave the table, not the bar."""
        if self.live is not None:
            self.live.stop()
        if self.trials:
            self.console.print(trial_table(self.goal, self.trials).to_rich())

    def begin(self, lambda_: float) -> None:
        """A run begins."""
        self.lambda_, self.done, self.began = lambda_, 0, time.monotonic()
        if self.live is None:
            self._say(f'lambda {lambda_:g}: {self.iterations} iterations ...')

    def tell(self, done: int) -> None:
        """So many iterations of it are done."""
        self.done = done
        if self.live is not None:
            self.live.update(Group(trial_table(self.goal, self.trials).to_rich(), Text(self.progress())))

    def end(self, trials: Sequence[Trial]) -> None:
        """It ended; ``trials`` are all so far."""
        self.seconds.append(time.monotonic() - self.began)
        self.trials = list(trials)
        if self.live is None:
            left = self.remaining()
            self._say(f'  share {self.trials[-1].share:.3f}' + (f'; about {clock(left)} left' if left else ''))

    def progress(self) -> str:
        """One line on the run under way."""
        full = BAR * self.done // self.iterations
        return (
            f'lambda {self.lambda_:g} {"#" * full}{"." * (BAR - full)} iteration {self.done}/{self.iterations}, '
            f'about {clock(self.remaining())} left'
        )

    def remaining(self) -> float:
        """About how many seconds the search still takes, this run included."""
        later = runs_left(self.goal, self.trials)
        elapsed = time.monotonic() - self.began
        if 0 < self.done < self.iterations:
            whole = elapsed * self.iterations / self.done
            return whole - elapsed + max(0, later - 1) * whole
        return later * sum(self.seconds) / max(1, len(self.seconds))

    def _say(self, text: str) -> None:
        say(self.console, text)


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    return str(timedelta(seconds=round(seconds)))
