"""Progress of long work: a bar with the time left on a terminal, a line now and then elsewhere."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

#: Seconds between two lines where there is no terminal.
QUIET = 10.0
#: The display on a terminal while there is one: work within work has its bar there.
_displays: list[Progress] = []


def say(console: Console, text: str) -> None:
    """Print a line as it is: what stands in brackets or between colons is a user's name, not markup."""
    console.print(Text(text), soft_wrap=True)


def tracked(items: Iterable, text: str, total: int, console: Console | None = None) -> Iterator:
    """Give out ``items`` one by one, and show how many of ``total`` are done and about how long the rest takes.

    What is tracked while an item of other tracked work is done shows its bar below that one's, while it lasts.
    """
    console = console or Console(stderr=True)
    if _displays:
        yield from _below(_displays[-1], items, text, total)
    elif console.is_terminal:
        columns = (
            TextColumn('{task.description}', markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn('left'),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True) as progress:
            _displays.append(progress)
            try:
                yield from progress.track(items, total=total, description=text)
            finally:
                _displays.remove(progress)
    else:
        yield from _told(items, text, total, console)


@contextmanager
def waiting(text: str, console: Console | None = None) -> Iterator[None]:
    """Say on a terminal what is waited for, while it lasts; nothing elsewhere, nor by any but the first process."""
    console = console or Console(stderr=True)
    rank = os.environ.get('RANK', os.environ.get('SLURM_PROCID', '0'))
    if not console.is_terminal or rank != '0':
        yield
        return
    with console.status(Text(text)):
        yield


def _below(display: Progress, items: Iterable, text: str, total: int) -> Iterator:
    """A further bar of a display, taken away at the end."""
    task = display.add_task(text, total=total)
    try:
        yield from display.track(items, total=total, task_id=task)
    finally:
        display.remove_task(task)


def _told(items: Iterable, text: str, total: int, console: Console) -> Iterator:
    """A line now and then."""
    began = told = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - told > QUIET and done < total:
            told = now
            left = timedelta(seconds=round((now - began) * (total - done) / done))
            say(console, f'{text}: {done} of {total}, about {left} left')
