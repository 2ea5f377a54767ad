"""Showing how far several runs at once are: a line each and one ETA, live on a terminal, elsewhere in lines."""

from collections.abc import Sequence
from threading import Event, RLock

from rich.live import Live
from rich.table import Table
from rich.text import Text

from sssd.progress import say
from sssd.studies.cost import Forecast, Taken, Work, end_of
from sssd.studies.follow import Status
from sssd.studies.pool import Stopped
from sssd.studies.watch import QUIET_INTERVAL, Reporter, clock_text


class Board:
    """Shows the runs under way and about when the last of all ends.

    Args:
        reporter: Where to print, its clock, and what runs took so far.
        runs: The processes of all runs to do, in order.
        places: Runs at once.

    Attributes:
        stop: Once it is set, the runs under way end: the next :meth:`Lane.tick` raises.
    """

    def __init__(self, reporter: Reporter, runs: Sequence[list[Work]], places: int) -> None:
        self.console, self.clock, self.forecast = reporter.console, reporter.clock, reporter.forecast
        self.places, self.total, self.begun, self.ended = places, len(runs), 0, 0
        self.stop, self.lock = Event(), RLock()
        self.later = dict(enumerate(runs))
        self.lanes: list[Lane] = []
        self._live: Live | None = None
        self._last_line = self.clock()
        self._last_text = ''

    def __enter__(self) -> 'Board':
        if self.console.is_terminal:
            self._live = Live(console=self.console, transient=True, refresh_per_second=2)
            self._live.start()
        return self

    def __exit__(self, *_) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def lane(self, number: int) -> 'Lane':
        """What shows the run of this number in the list."""
        return Lane(self, number)

    def say(self, text: str) -> None:
        """Print a sentence."""
        with self.lock:
            say(self.console, text)

    def show(self) -> None:
        """Show what has changed: on a terminal at once, elsewhere at most every half minute."""
        with self.lock:
            if self._live is not None:
                self._live.update(self._view())
            elif self.clock() - self._last_line >= QUIET_INTERVAL:
                text = '; '.join(f'{lane.title}: {lane.status.text}' for lane in self.lanes)
                if text != self._last_text:
                    self._last_text, self._last_line = text, self.clock()
                    self.say('; '.join([f'  {text}', *self._told()]))

    def left(self) -> float | None:
        """Seconds until the last run ends; None where that is not known yet."""
        known = self.forecast.with_running([(lane.works[0], lane.status.taken) for lane in self.lanes if lane.works])
        running = [lane.left(known) for lane in self.lanes]
        later = [sum_known([known.seconds(work) for work in works]) for works in self.later.values()]
        return None if None in running or None in later else end_of(running, later, self.places)

    def _told(self) -> list[str]:
        left = self.left()
        return [] if left is None else [f'study ETA {clock_text(left)}']

    def _view(self) -> Table:
        grid = Table.grid(padding=(0, 2))
        for lane in self.lanes:
            left = lane.status.left
            eta = '' if left is None else f'ETA {clock_text(left)}'
            grid.add_row(Text(lane.title), Text(lane.status.text), clock_text(self.clock() - lane.run_began), eta)
        whole = Table.grid()
        whole.add_row('  '.join([f'{self.ended} of {self.total} runs', *self._told()]))
        whole.add_row(grid)
        return whole


class Lane:
    """Shows one run of a :class:`Board`, as a :class:`~sssd.studies.watch.Reporter` does."""

    def __init__(self, board: Board, number: int) -> None:
        self.board, self.forecast, self.title, self.status = board, board.forecast, '', Status('starting')
        self.works, self.number = board.later[number], number
        self.run_began = self.began = board.clock()

    def begin(self, title: str) -> None:
        """The run begins, with its first process."""
        board = self.board
        with board.lock:
            self.title, self.works = title, list(board.later.pop(self.number, []))
            self.run_began = self.began = board.clock()
            board.begun += 1
            board.lanes.append(self)
            board.say(f'[{board.begun}/{board.total}] {title}')

    def say(self, text: str) -> None:
        """Print a sentence about the run."""
        self.board.say(f'  {self.title}: {text.strip()}')

    def tick(self, status: Status) -> None:
        """The process under way says how far it is.

        Raises:
            Stopped: If the study ends.
        """
        if self.board.stop.is_set():
            self.say('is being ended, and saves first')
            raise Stopped
        self.status = status
        self.board.show()

    def process_ended(self, taken: Taken | None = None) -> None:
        """The process under way ended well; ``taken`` is what it took, as far as it was measured."""
        with self.board.lock:
            if self.works:
                work = self.works.pop(0)
                if taken is not None:
                    self.forecast.learn(work, taken)
            self.began, self.status = self.board.clock(), Status('between two processes')

    def end(self, text: str) -> None:
        """The run ended."""
        with self.board.lock:
            self.board.later.pop(self.number, None)
            if self in self.board.lanes:
                self.board.lanes.remove(self)
            self.board.ended += 1
            self.say(text)

    def leave_out(self, numbers: Sequence[int]) -> None:
        """Runs of these numbers in the list are not going to be run."""
        with self.board.lock:
            for number in numbers:
                self.board.later.pop(number, None)

    def left(self, known: Forecast) -> float | None:
        """Seconds that it still takes, by what is known of it and of others."""
        if not self.works:
            return 0.0
        return known.left(self.works, self.board.clock() - self.began, self.status.left, None)


def sum_known(seconds: Sequence[float | None]) -> float | None:
    """The sum, or None where one is not known."""
    return None if None in seconds else sum(seconds)
