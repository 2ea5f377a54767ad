"""Progress of long work: a bar with the time left on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Iterable, Iterator
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

#: Seconds between two lines where there is no terminal.
QUIET = 10.0


def tracked(items: Iterable, text: str, total: int, console: Console | None = None) -> Iterator:
    """Give out ``items`` one by one, and show how many of ``total`` are done and about how long the rest takes."""
    console = console or Console(stderr=True)
    if console.is_terminal:
        columns = (
            TextColumn('{task.description}'),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn('left'),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True) as progress:
            yield from progress.track(items, total=total, description=text)
        return
    began = told = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - told > QUIET and done < total:
            told = now
            left = timedelta(seconds=round((now - began) * (total - done) / done))
            console.print(f'{text}: {done} of {total}, about {left} left', highlight=False, soft_wrap=True)
