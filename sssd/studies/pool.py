"""Several runs of a study at once, each in a thread that starts its processes and waits for them."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Event

from sssd.errors import UserError
from sssd.studies.job import Job
from sssd.studies.slots import Slot

POLL_SECONDS = 0.2
#: A run, and why it failed.
Failure = tuple[Job, UserError]


class Stopped(Exception):
    """The study ends before its runs do."""


def run_jobs(
    jobs: Sequence[Job], slots: Sequence[Slot], work: Callable[[Job, Slot], None], stop: Event | None = None
) -> list[Failure]:
    """Run jobs, in order as far as slots and starts allow; with one slot in this thread, one after the other.

    A job waits for the start that it begins with; a failed run leaves the others alone, but for those that begin with
    it, which are left out. Whatever else is raised here or there, Ctrl-C included, ends all: ``stop`` is set and the
    threads are waited for.

    Args:
        jobs: The jobs, each after its start.
        slots: Where they run.
        work: Runs one; raises a :class:`~sssd.errors.UserError` where it fails, and :class:`Stopped` soon after the
            event is set.
        stop: The event.

    Returns:
        The failures, in order of their jobs.
    """
    failures: dict[tuple[str, int], Failure] = {}
    if len(slots) == 1:
        for job in jobs:
            if not begins_with(job, failures):
                try:
                    work(job, slots[0])
                except UserError as error:
                    failures[job.key] = (job, error)
    else:
        _run_in_threads(list(jobs), list(slots), work, stop or Event(), failures)
    return [failures[job.key] for job in jobs if job.key in failures]


def begins_with(job: Job, keys) -> bool:
    """Whether the start of a job is one of these."""
    return job.start is not None and job.start.key in keys


def _run_in_threads(waiting: list[Job], free: list[Slot], work, stop: Event, failures: dict) -> None:
    running: dict[Future, tuple[Job, Slot]] = {}
    order = list(free)
    with ThreadPoolExecutor(len(free)) as pool:
        try:
            while waiting or running:
                waiting = [job for job in waiting if not begins_with(job, failures)]
                ahead = {job.key for job in [*waiting, *[job for job, _ in running.values()]]}
                for job in [job for job in waiting if not begins_with(job, ahead)][: len(free)]:
                    waiting.remove(job)
                    slot = free.pop(0)
                    running[pool.submit(work, job, slot)] = (job, slot)
                for future in wait(running, POLL_SECONDS, FIRST_COMPLETED).done:
                    job, slot = running.pop(future)
                    free = sorted([*free, slot], key=order.index)
                    error = future.exception()
                    if isinstance(error, UserError):
                        failures[job.key] = (job, error)
                    elif error is not None:
                        raise error
        except BaseException:
            stop.set()
            raise
