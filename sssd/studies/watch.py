"""Telling how far a study is: the runs done, and the last word of this one."""

import re
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

TAIL = 65536
TRAINED = re.compile(
    r'(Iter|Epoch)\(train\)\s*(?:\[(\d+)\])?\s*\[\s*(\d+)'
    r'\s*/\s*(\d+)\]'
)
VALIDATED = re.compile(r'\((?:val|test)\)\s*(?:\[\d+\])?\s*\[\s*(\d+)\s*/\s*(\d+)\]')
ETA = re.compile(r'eta: (.+?)  ')
LOSS = re.compile(r'  loss: ([\d.]+|nan|inf)')
AP = re.compile(r'(?:(teacher|student)/)?coco/bbox_mAP: (-?[\d.]+)')
QUIET_INTERVAL = 30.0


class ChildStatus:
    """What the log of a training process last said."""

    def __init__(self, text: str) -> None:
        train = _last(TRAINED, text)
        tail = text[train.end() :] if train else text
        self.step = int(train[3]) if train else None
        self.total = int(train[4]) if train else None
        self.epoch = train[2] if train else None
        self.eta = _last_group(ETA, text)
        self.loss = _last_group(LOSS, text)
        val = _last(VALIDATED, tail)
        self.evaluating = (val[1], val[2]) if val else None
        self.ap = {m[1] or 'AP': 100 * float(m[2]) for m in AP.finditer(text)}

    @classmethod
    def read(cls, log: Path, begin: int = 0) -> 'ChildStatus':
        """Read the end of a log file, at most back to the byte ``begin``."""
        with open(log, 'rb') as handle:
            end = handle.seek(0, 2)
            handle.seek(max(begin, end - TAIL))
            return cls(handle.read().decode(errors='replace'))

    @property
    def fraction(self) -> float | None:
        """Share of the training done; None where the log does not tell."""
        if not self.step or self.epoch is not None:
            return None
        return min(1.0, self.step / self.total)

    def __str__(self) -> str:
        if self.step is None:
            return 'evaluating {}/{}'.format(*self.evaluating) if self.evaluating else 'starting'
        epoch = f'epoch {self.epoch}, ' if self.epoch else ''
        words = [f'{epoch}iteration {self.step}/{self.total}']
        if self.evaluating:
            words.append('evaluating {}/{}'.format(*self.evaluating))
        elif self.eta:
            words.append(f'ETA {self.eta}')
        if self.loss:
            words.append(f'loss {self.loss}')
        words += [f'{role if role == "AP" else role + " AP"} {value:.1f}' for role, value in sorted(self.ap.items())]
        return ', '.join(words)


def _last(pattern: re.Pattern, text: str) -> re.Match | None:
    matches = list(pattern.finditer(text))
    return matches[-1] if matches else None


def _last_group(pattern: re.Pattern, text: str) -> str | None:
    match = _last(pattern, text)
    return match[1] if match else None


def remaining_seconds(
    names: Sequence[str], done: dict[str, list[float]], elapsed: float, fraction: float | None
) -> float | None:
    """Estimate how long a study still takes.

    Args:
        names: Names of the runs left, the one under way first.
        done: Seconds of the finished runs, by name.
        elapsed: Seconds the run under way has taken.
        fraction: How much of it is done, if known.

    Returns:
        Seconds, or None where nothing is known yet.
    """
    seconds = [second for values in done.values() for second in values]
    overall = sum(seconds) / len(seconds) if seconds else None
    if fraction:
        current = elapsed / fraction
        overall = current if overall is None else overall
    elif overall is None:
        return None
    else:
        current = _mean(done.get(names[0]), overall)
    rest = sum(_mean(done.get(name), overall) for name in names[1:])
    return max(0.0, current - elapsed) + rest


def _mean(values: Sequence[float] | None, otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


class Reporter:
    """Shows a study's progress: live on a terminal, in lines elsewhere."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self.total = self.finished = 0
        self.left: list[str] = []
        self.done: dict[str, list[float]] = defaultdict(list)
        self._live: Live | None = None
        self._began = self._last_line = 0.0

    def say(self, text: str) -> None:
        """Print a sentence."""
        self.console.print(escape(text), highlight=False, soft_wrap=True)

    def plan(self, names: Sequence[str]) -> None:
        """Set the names of all runs to do, in order."""
        self.left, self.total = list(names), len(names)

    def begin(self, title: str) -> None:
        """A run begins."""
        self._began = self._last_line = time.monotonic()
        self.say(f'[{self.finished + 1}/{self.total}] {title}')
        if self.console.is_terminal:
            self._live = Live(console=self.console, transient=True, refresh_per_second=2)
            self._live.start()

    def tick(self, status: ChildStatus) -> None:
        """The run under way says how far it is."""
        elapsed = time.monotonic() - self._began
        left = remaining_seconds(self.left, self.done, elapsed, status.fraction)
        eta = f'study ETA {_clock(left)}' if left is not None else ''
        if self._live is not None:
            view = Table.grid(padding=(0, 2))
            view.add_row(f'{self.finished} of {self.total} runs', _clock(elapsed), eta)
            grid = Table.grid()
            grid.add_row(view)
            grid.add_row(escape(str(status)))
            self._live.update(grid)
        elif time.monotonic() - self._last_line > QUIET_INTERVAL:
            self._last_line = time.monotonic()
            self.say(f'  {status}' + (f'; {eta}' if eta else ''))

    def end(self, name: str, seconds: float, text: str) -> None:
        """A run ended; ``seconds`` is how long it took now."""
        self._stop_live()
        self.done[name].append(seconds)
        self.finished += 1
        if self.left:
            self.left.pop(0)
        self.say(f'  {text}')

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._stop_live()

    def _stop_live(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
