"""One process of a study: started with a log, looked at while it runs, never left behind."""

import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from sssd.errors import UserError
from sssd.studies.marked import end_marked
from sssd.studies.spec import environment as set_environment

POLL_SECONDS = 1.0
#: Seconds to end a step and save: on a CPU a step may take half a minute, and torchrun gives its workers 30.
GRACE_SECONDS = 60.0
#: How much of the end of a log is searched for an error, in bytes, and how much of the error is told, in characters.
TAIL, TOLD = 65536, 300
#: A line that tells an error: an exception's, or that of a command (ours, argparse's).
ERROR = re.compile(r'[A-Za-z_][\w.]*(?:Error|Exception|Interrupt)\b.*|[\w .-]+: error: .*')
#: What a launcher says of its workers after they have told their own.
LAUNCHERS = 'torch.distributed.elastic.'
#: The variable of the environment by which the processes that stem from a command are known.
MARK = 'SSSD_STUDY_PROCESS'
LEASH = Path(__file__).with_name('leash.py')


class Child:
    """A command in a process of its own, ended with all that it has started when the block is left, or when we end.

    On Linux it gets SIGTERM when this process is gone, were it by SIGKILL (:mod:`sssd.studies.leash`); and workers that
    a launcher gave sessions of their own are ended, were the launcher gone (:mod:`sssd.studies.marked`).

    .. code-block:: python

        with Child(words, log, environment) as child:
            while child.running():
                ...  # about once a second
        child.check('the run')

    Args:
        words: The command.
        log: File that what it prints is added to.
        environment: Variables of the environment, over ours.
        grace: Seconds that it has to end before it is killed.

    Attributes:
        waits: Whether it waits for its turn; here none does.
        machine: What it runs on, if that is another machine than this one.
        seconds: How long it has run by its own account, where it keeps one.
        followed: Whether an earlier call has started it.
    """

    waits, machine, seconds, followed = False, None, None, False

    def __init__(
        self, words: Sequence[str], log: Path, environment: Mapping[str, str], grace: float = GRACE_SECONDS
    ) -> None:
        self.words, self.log, self.environment, self.grace = list(words), log, environment, grace
        self._mark = uuid.uuid4().hex

    def __enter__(self) -> 'Child':
        # While another thread reads a config, the environment has that run's variables.
        with open(self.log, 'ab') as handle, set_environment({}):
            self._offset = handle.tell()
            # The study has a page of its own; that of a run is had by `sssd report`.
            report = '0' if os.environ.get('SSSD_REPORT') == '0' else 'later'
            words = self.words
            if sys.platform == 'linux':
                words = [sys.executable, '-I', '-S', str(LEASH), str(os.getpid()), *words]
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={
                    **os.environ,
                    **self.environment,
                    'PYTHONUNBUFFERED': '1',
                    'SSSD_REPORT': report,
                    MARK: self._mark,
                },
            )
        return self

    def __exit__(self, *_) -> None:
        if self._process.poll() == 0:
            return
        if self._process.returncode is not None:  # a launcher that was killed leaves its workers
            end_marked(MARK, self._mark, self.grace)
            return
        try:
            os.killpg(self._process.pid, signal.SIGTERM)  # a launcher hands it on; a second one ends without saving
            self._process.wait(timeout=self.grace)
        except subprocess.TimeoutExpired:
            pass
        finally:  # at a second Ctrl-C, too
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
            end_marked(MARK, self._mark, 0.0)
            self._process.wait()

    def running(self) -> bool:
        """Whether it still runs; waits up to a second for its end."""
        try:
            self._process.wait(timeout=POLL_SECONDS)
        except subprocess.TimeoutExpired:
            return True
        return False

    @property
    def returncode(self) -> int | None:
        """Its exit status, below 0 the signal that ended it; None while it runs."""
        return self._process.returncode

    def check(self, what: str) -> None:
        """Refuse an end that is none of success.

        Args:
            what: What the process was for.

        Raises:
            UserError: With its exit status and the last error in its part of the log.
        """
        refuse_failure(what, self.returncode, self.log, self._offset)


def refuse_failure(what: str, code: int, log: Path, offset: int = 0) -> None:
    """Refuse an exit status that is none of success.

    Args:
        what: What the process was for.
        code: Its exit status, below 0 the signal that ended it.
        log: Its log.
        offset: The byte at which the process's part of it begins.

    Raises:
        UserError: With the status and the last error in its part of the log.
    """
    if code == 0:
        return
    status = f'failed with exit status {code}'
    if code < 0:
        status = f'was ended by signal {-code}, {signal.strsignal(-code)}'
        status += ', as where memory runs out,' if code == -signal.SIGKILL else ''
    error = last_error(log, offset)
    raise UserError(
        f'{what} {status}{f" ({error})" if error else ""}: see the end of {log}, mend it and call the study '
        'again; what is done is kept'
    )


def last_error(log: Path, offset: int = 0) -> str:
    """The last error that a process wrote into its log, else the last line; of a long one the beginning.

    Args:
        log: The log.
        offset: The byte at which the process's part of it begins.
    """
    with open(log, 'rb') as handle:
        handle.seek(max(offset, handle.seek(0, 2) - TAIL))
        lines = [line.strip() for line in handle.read().decode(errors='replace').splitlines() if line.strip()]
    errors = [line for line in lines if ERROR.fullmatch(line) and not line.startswith(LAUNCHERS)]
    told = (errors or lines or [''])[-1]
    told = told.removeprefix('sssd: error: ').rstrip('.')
    return told if len(told) <= TOLD else f'{told[:TOLD]} ...'
