"""A quiet terminal: what MMEngine and its like say goes to the log file alone, what a user has to know goes to both."""

import io
import logging
import os
import re
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from mmengine.runner import Runner
from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from sssd.errors import UserError

#: Packages whose prints are for the log file.
CHATTY = ('mmengine', 'mmcv', 'mmdet', 'pycocotools', 'faster_coco_eval')
#: Warnings for the log file: of frozen parameters, where there is a ``paramwise_cfg``, of old calls in the stack, of
#: weights in a file that a model has no use for, such as the classifier of a pretrained backbone.
UNSEEN = re.compile(
    r'is skipped since its requires_grad=False$|will be deprecated'
    r'|^The model and loaded state dict do not match exactly(?!.*(missing keys|size mismatch))',
    flags=re.DOTALL,
)
#: Python's warnings for the log file: of code that has to change some day.
DATED = re.compile(r'(Future|Deprecation)Warning: |in an upcoming release|To copy construct from a tensor')
#: So many warnings that differ in their numbers alone are shown, so many lines of each, so many letters of a line.
ALIKE, LINES, LETTERS = 3, 4, 400
#: What launchers call the number of a process.
RANKS = dict(pytorch='RANK', slurm='SLURM_PROCID', mpi='OMPI_COMM_WORLD_RANK')


@contextmanager
def quiet(verbose: bool = False, launcher: str = 'none') -> Iterator['Screen | None']:
    """A quiet terminal for what is done within; None, and nothing changed, with ``verbose``.

    ``sys.stdout`` and ``sys.stderr`` are stood for by a :class:`Tee` each. An error that is not a
    :class:`~sssd.errors.UserError` is written to the log file, with its traceback, and raised on.

    Args:
        verbose: The ``--verbose`` argument.
        launcher: The ``--launcher`` argument: of several processes only the first reports.
    """
    if verbose:
        yield None
        return
    screen, before = Screen(os.environ.get(RANKS.get(launcher, ''), '0') == '0'), (sys.stdout, sys.stderr)
    sys.stdout = tee = Tee(sys.stdout, screen, lambda writer, text: writer in CHATTY)
    sys.stderr = Tee(
        sys.stderr,
        screen,
        lambda writer, text: writer == 'warnings' and bool(not screen.is_first or DATED.search(text)),
    )
    try:
        yield screen
    except UserError:
        raise
    except Exception:
        screen.log('sssd', traceback.format_exc(), logging.ERROR)
        raise
    finally:
        screen.close()
        tee.finish()
        sys.stdout, sys.stderr = before


class Screen:
    """The terminal of a command, and the log file behind it, which comes later.

    Args:
        is_first: Whether this is the first of several processes, the one that reports.

    Attributes:
        console: Writes to the terminal, past the log file.
        is_terminal: Whether there is a terminal that can draw a bar.
    """

    def __init__(self, is_first: bool = True) -> None:
        self.console, self.is_first = Console(file=sys.stdout), is_first
        self.is_terminal = sys.stdout.isatty() and not self.console.is_dumb_terminal
        self.bars: Progress | None = None
        self._files: list[logging.Handler] = []
        self._waiting: list[logging.LogRecord] | None = []

    def show(self, text: str) -> None:
        """Print lines on the terminal alone, above the bars if there are some."""
        self.console.print(Text.from_ansi(text), soft_wrap=True, highlight=False)

    def tell(self, text: str) -> None:
        """Print lines on the terminal and into the log file."""
        self.show(text)
        self.log('sssd', text)

    def log(self, name: str, text: str, level: int = logging.INFO) -> None:
        """Write into the log file alone; kept until there is one."""
        record = logging.makeLogRecord(
            dict(name=name, levelno=level, levelname=logging.getLevelName(level), msg=text, pathname=__file__)
        )
        if self._waiting is None:
            self._write(record)
        else:
            self._waiting.append(record)

    def attach(self, logger: logging.Logger) -> None:
        """Take the files of a run's logger as the log file, and show its warnings and errors alone."""
        for handler in logger.handlers:
            if isinstance(handler, logging.FileHandler):
                self._files.append(handler)
            elif isinstance(handler, logging.StreamHandler):
                handler.setLevel(max(handler.level, logging.WARNING))
                handler.addFilter(Sparing())
                handler.setFormatter(Brief())
        waiting, self._waiting = self._waiting or [], None
        for record in waiting:
            self._write(record)

    def runner_type(self, kind: type[Runner]) -> type[Runner]:
        """A type of Runner whose logger is attached as soon as it is there: before anything is logged."""
        screen = self

        class QuietRunner(kind):
            def build_logger(self, *args, **kwargs):
                logger = super().build_logger(*args, **kwargs)
                screen.attach(logger)
                return logger

        return QuietRunner

    def start(self, bars: Progress) -> None:
        """Have bars at the bottom of the terminal."""
        self.bars = bars
        bars.start()

    def close(self) -> None:
        """Leave the bars as they are."""
        if self.bars is not None:
            self.bars.stop()
            self.bars = None

    def _write(self, record: logging.LogRecord) -> None:
        for handler in self._files:
            if record.levelno >= handler.level:
                handler.handle(record)


class Tee(io.TextIOBase):
    """Stands for a stream: shows what is written, unless it is not to be seen, and logs it.

    Logging is told from printing by the package that writes: records are in the log file already.

    Args:
        raw: The stream.
        screen: Where the lines go.
        unseen: Whether what a package writes is logged alone.
    """

    def __init__(self, raw: TextIO, screen: Screen, unseen: Callable[[str, str], bool]) -> None:
        self.raw, self.screen, self.unseen = raw, screen, unseen
        self.process = os.getpid()
        self._line = self._shown = ''

    def write(self, text: str) -> int:
        """Show it, log it, or both; a data loader's worker only shows it."""
        writer = sys._getframe(1).f_globals.get('__name__', '?').partition('.')[0]
        if not self.unseen(writer, text):
            self._show(text)
        if writer != 'logging' and os.getpid() == self.process:
            *lines, self._line = (self._line + text).split('\n')
            for line in lines:
                if line.strip():
                    self.screen.log(writer, line.rpartition('\r')[2])
        return len(text)

    def finish(self) -> None:
        """Show a line that has no end yet."""
        self._show('')
        self.raw.flush()

    def flush(self) -> None:
        """Flush the stream."""
        self.raw.flush()

    def writable(self) -> bool:
        """It is."""
        return True

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return self.raw.isatty()

    def fileno(self) -> int:
        """The stream's descriptor."""
        return self.raw.fileno()

    @property
    def encoding(self) -> str:
        """The stream's encoding."""
        return self.raw.encoding

    def __getattr__(self, name: str):
        return getattr(self.raw, name)

    def _show(self, text: str) -> None:
        if self.screen.bars is None or os.getpid() != self.process or not self.raw.isatty():
            text, self._shown = self._shown + text, ''
            self.raw.write(text)
            return
        *lines, self._shown = (self._shown + text).split('\n')  # above the bars there are whole lines only
        for line in lines:
            self.screen.show(line)


class Sparing(logging.Filter):
    """Lets nothing of :data:`UNSEEN` through, and no more than :data:`ALIKE` messages that differ in numbers alone."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is shown."""
        text = record.getMessage()
        kind = re.sub(r'\d+', '0', text)
        self.seen[kind] += 1
        record.is_last = self.seen[kind] == ALIKE
        return not UNSEEN.search(text) and self.seen[kind] <= ALIKE


class Brief(logging.Formatter):
    """``warning: `` or ``error: `` and the first lines of the message."""

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record."""
        lines = [line for line in super().format(record).splitlines() if line.strip()]
        if not record.exc_info:
            lines = [line if len(line) <= LETTERS else f'{line[:LETTERS]} ... (more in the log file)' for line in lines]
            lines[LINES:] = [f'... ({len(lines) - LINES} more lines in the log file)'] * (len(lines) > LINES)
        if getattr(record, 'is_last', False):
            lines.append('(from here on in the log file alone)')
        return f'{record.levelname.lower()}: ' + '\n  '.join(lines)
