"""Showing how far a study is: live on a terminal, elsewhere in lines."""

import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sssd.progress import say
from sssd.studies.cost import Forecast, Taken, Work
from sssd.studies.follow import Status

#: Seconds between two lines about a process where there is no terminal.
QUIET_INTERVAL = 30.0


class Reporter:
    """Shows a study's progress and about when it ends.

    A study is a list of runs, a run one or several processes. Where the output is no terminal, a line is printed when
    something has changed since the last, at most every 30 seconds.

    Args:
        console: Where to print.
        clock: Seconds that go on.
    """

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.console, self.clock = console or Console(), clock
        self.forecast = Forecast()
        self._total = self._ended = 0
        self._now: list[Work] = []
        self._later: dict[int, list[Work]] = {}
        self._live: Live | None = None
        self._began = self._run_began = self._last_line = 0.0
        self._last_text = ''

    def say(self, text: str) -> None:
        """Print a sentence."""
        say(self.console, text)

    def plan(self, runs: Sequence[list[Work]]) -> None:
        """Set the processes of all runs to do, in order."""
        self._later, self._total, self._ended = dict(enumerate(runs)), len(runs), 0

    def leave_out(self, numbers: Sequence[int]) -> None:
        """Runs of these numbers in the list are not going to be run."""
        for number in numbers:
            self._later.pop(number, None)

    def begin(self, title: str) -> None:
        """A run begins, with its first process."""
        self._now = list(self._later.pop(min(self._later))) if self._later else []
        self._run_began = self._began = self._last_line = self.clock()
        self._last_text = ''
        self.say(f'[{self._ended + 1}/{self._total}] {title}')
        if self.console.is_terminal:
            self._live = Live(console=self.console, transient=True, refresh_per_second=2)
            self._live.start()

    def tick(self, status: Status) -> None:
        """The process under way says how far it is."""
        eta = self._eta(status)
        if self._live is not None:
            done = f'{self._ended} of {self._total} runs'
            view = Table.grid(padding=(0, 2))
            view.add_row(done, clock_text(self.clock() - self._run_began), *eta)
            grid = Table.grid()
            grid.add_row(view)
            grid.add_row(Text(status.text))
            self._live.update(grid)
        elif status.text != self._last_text and self.clock() - self._last_line >= QUIET_INTERVAL:
            self._last_text, self._last_line = status.text, self.clock()
            self.say('  ' + '; '.join([status.text, *eta]))

    def process_ended(self, taken: Taken | None = None) -> None:
        """The process under way ended well; ``taken`` is what it took, as far as it was measured."""
        if not self._now:
            return
        work = self._now.pop(0)
        if taken is not None:
            self.forecast.learn(work, taken)
        self._began, self._last_text = self.clock(), ''

    def end(self, text: str) -> None:
        """A run ended."""
        self.close()
        self._ended += 1
        self.say(f'  {text}')

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _eta(self, status: Status) -> list[str]:
        """When the process and the study will have ended, as far as that is known."""
        if not self._now:
            return []
        works = [*self._now, *[work for run in self._later.values() for work in run]]
        study = self.forecast.left(works, self.clock() - self._began, status.left, status.taken)
        known = (('ETA', status.left), ('study ETA', study))
        return [f'{name} {clock_text(seconds)}' for name, seconds in known if seconds is not None]


def clock_text(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
