"""Decoding images in other processes, so that one that crashes, hangs or eats all memory is named and no more."""

import contextlib
import faulthandler
import multiprocessing
import os
import resource
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

import cv2
import numpy as np

#: What decoders write about a file that is damaged and decoded all the same, partly gray.
DAMAGED = ('Premature end', 'Corrupt JPEG', 'libpng error', 'Not enough data', 'Read error', 'Read Error')
#: Memory beyond that of the process as it starts, in bytes.
MEMORY = 6 * 2**30


@dataclass(frozen=True)
class Decoded:
    """What came of an image.

    Attributes:
        path: The file.
        trouble: What is wrong; empty if nothing is.
        fatal: Whether it cannot be decoded at all.
        fingerprints: 64 bits each, which hardly change where an image is scaled or compressed anew: of it as it is,
            then mirrored and turned. Empty without an image.
    """

    path: str
    trouble: str = ''
    fatal: bool = False
    fingerprints: tuple[int, ...] = ()


class Worker:
    """A process that decodes one image after the other."""

    def __init__(self) -> None:
        context = multiprocessing.get_context('fork')
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, self.connection), daemon=True)
        self.process.start()
        theirs.close()
        self.path, self.began = None, 0.0

    def begin(self, path: str) -> None:
        """Have it decode a file."""
        self.path, self.began = path, time.monotonic()
        with contextlib.suppress(OSError):  # it ended; its connection says so when it is asked
            self.connection.send(path)

    def result(self) -> Decoded:
        """What came of the file; that the process ended, if it did."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            self.process.join(5)
            code = self.process.exitcode
            how = signal.Signals(-code).name if code is not None and code < 0 else f'status {code}'
            return Decoded(self.path, f'ends the process that decodes it ({how})', True)

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def decode(paths: list[str], workers: int, timeout: float) -> Iterator[Decoded]:
    """Decode images in parallel, each guarded.

    Args:
        paths: The files.
        workers: Number of processes.
        timeout: Seconds that one image may take.

    Returns:
        An iterator over what came of each, as they are done; the processes are started at once, before a thread of a
        progress bar may hold a lock.
    """
    return _results([Worker() for _ in range(min(workers, len(paths)))], iter(paths), timeout)


def _results(team: list[Worker], waiting: Iterator[str], timeout: float) -> Iterator[Decoded]:
    """What came of each file, as they are done; a worker that does not come back is replaced."""
    busy = []
    try:
        busy = [worker for worker in team if _next(worker, waiting)]
        while busy:
            first = min(worker.began for worker in busy) + timeout - time.monotonic()
            ready = wait([worker.connection for worker in busy], max(0.0, first))
            for worker in list(busy):
                if worker.connection in ready:
                    yield (done := worker.result())
                    lives = not done.trouble.startswith('ends the process')
                elif time.monotonic() - worker.began > timeout:
                    yield Decoded(worker.path, f'takes more than {timeout:g} s to decode', True)
                    lives = False
                else:
                    continue
                busy.remove(worker)
                if not lives:
                    worker.end()
                    team.remove(worker)
                    worker = Worker()
                    team.append(worker)
                if _next(worker, waiting):
                    busy.append(worker)
    finally:
        for worker in team:
            worker.end()


def _next(worker: Worker, waiting: Iterator[str]) -> bool:
    """Give a worker the next file; whether there was one."""
    path = next(waiting, None)
    if path is not None:
        worker.begin(path)
    return path is not None


def _serve(connection: Connection, other: Connection) -> None:
    """Decode what is asked for until the other side is gone."""
    other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)
    faulthandler.disable()
    _limit_memory()
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)  # decoders in C write there
        try:
            while True:
                connection.send(_decoded(connection.recv(), said))
        except (EOFError, OSError, KeyboardInterrupt):
            os._exit(0)


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with open('/proc/self/statm', encoding='ascii') as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    except (OSError, ValueError):  # not on Linux, or a lower limit is set
        return


def _decoded(path: str, said) -> Decoded:
    """Decode a file as mmcv does by default."""
    said.seek(0)
    said.truncate()
    try:
        with open(path, 'rb') as file:
            image = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error, MemoryError) as error:
        what = 'takes more memory than there is' if isinstance(error, MemoryError) else 'cannot be decoded'
        return Decoded(
            path, f'{what} ({str(error).strip().splitlines()[-1][:80] if str(error).strip() else "no memory"})', True
        )
    if image is None:
        return Decoded(path, 'cannot be decoded, the file is broken', True)
    said.seek(0)
    words = said.read().decode(errors='replace')
    damage = next((word for word in DAMAGED if word in words), None)
    line = next((line for line in words.splitlines() if damage and damage in line), '')
    trouble = f'is damaged and decoded in part ({line.strip()[:80]})' if damage else ''
    return Decoded(path, trouble, False, fingerprints(image))


def fingerprints(image: np.ndarray) -> tuple[int, ...]:
    """The fingerprints of an image as it is, and of its seven mirror images and quarter turns.

    Each is the difference hash: of 8 x 9 mean brightnesses, which are larger than their right neighbour, 64 bits.

    Args:
        image: (H, W, 3) uint8, BGR.
    """
    small = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (72, 72), interpolation=cv2.INTER_AREA)
    turned = [np.rot90(side, quarters) for side in (small, small[:, ::-1]) for quarters in range(4)]
    return tuple(_difference_hash(np.ascontiguousarray(view)) for view in turned)


def _difference_hash(gray: np.ndarray) -> int:
    small = cv2.resize(gray, (9, 8), interpolation=cv2.INTER_AREA)
    bits = np.packbits(small[:, 1:] > small[:, :-1])
    return int.from_bytes(bits.tobytes(), 'big')
