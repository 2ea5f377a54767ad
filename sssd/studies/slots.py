"""Where the runs of a study run: how many at once, and what of the machine each of them has."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sssd.errors import UserError
from sssd.studies.child import Child

#: The variable that says which GPUs a process sees.
GPUS = 'CUDA_VISIBLE_DEVICES'
#: The variables that say how many threads a process computes with.
THREADS = ('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS')


@dataclass(frozen=True)
class Slot:
    """A share of this machine, which one run at a time has.

    Attributes:
        processes: Processes of a run, one a GPU.
        environment: Variables of the environment that keep a run to its share.
    """

    processes: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)

    def start(self, words: Sequence[str], log: Path, environment: Mapping[str, str], title: str) -> Child:
        """A command in this share, to be entered; several processes where the run has several GPUs.

        Args:
            words: The command, the interpreter first.
            log: File that what it prints is added to.
            environment: More variables.
            title: What it is, for people.
        """
        return Child(launched(words, self.processes), log, {**self.environment, **environment})


def launched(words: Sequence[str], processes: int) -> list[str]:
    """A command of an interpreter, its script (or ``-m`` and its module) and arguments, as so many processes."""
    if processes == 1:
        return list(words)
    python, *rest = words
    launcher = ['-m', 'torch.distributed.run', '--standalone', f'--nproc-per-node={processes}']
    return [python, *launcher, *rest, '--launcher', 'pytorch']


def visible_gpus() -> list[str]:
    """The GPUs of this machine that may be used, as :data:`GPUS` names them."""
    import torch

    count, given = torch.cuda.device_count(), os.environ.get(GPUS)
    return [str(number) for number in range(count)] if given is None else given.split(',')[:count]


def local_slots(
    jobs: int | None = None, gpus_per_run: int | None = None, gpus: Sequence[str] | None = None
) -> list[Slot]:
    """Shares of this machine for so many runs at once.

    Without either number, one run at a time has all of it. With GPUs, each run has ``gpus_per_run`` (1) of them for
    itself, and there are ``jobs`` runs at once, or as many as the GPUs are enough for. Without GPUs, the cores are
    divided; a number of threads that the environment sets is left as it is.

    Args:
        jobs: Runs at once.
        gpus_per_run: GPUs of a run.
        gpus: The GPUs; None looks for them.

    Raises:
        UserError: If there are not enough GPUs, or a number is below 1.
    """
    require_counts(jobs, gpus_per_run)
    if gpus_per_run is None and jobs in (None, 1):
        return [Slot()]
    gpus = visible_gpus() if gpus is None else gpus
    if not gpus:
        if gpus_per_run is not None:
            raise UserError('--gpus-per-run was given, but there is no GPU here: leave it out, and runs share the CPU.')
        return [Slot(environment=divided_threads(jobs))] * jobs
    each = gpus_per_run or 1
    jobs = max(1, len(gpus) // each) if jobs is None else jobs
    if jobs * each > len(gpus):
        raise UserError(
            f'{jobs} runs at once with {each} GPU{"s" * (each > 1)} each need {jobs * each} GPUs, but there are '
            f'{len(gpus)}: give fewer --jobs or --gpus-per-run, or send the runs to a cluster (--cluster slurm).'
        )
    return [Slot(each, {GPUS: ','.join(gpus[begin : begin + each])}) for begin in range(0, jobs * each, each)]


def require_counts(jobs: int | None, gpus_per_run: int | None) -> None:
    """Refuse numbers below 1.

    Raises:
        UserError: Naming the argument.
    """
    for key, value in (('--jobs', jobs), ('--gpus-per-run', gpus_per_run)):
        if value is not None and value < 1:
            raise UserError(f'{key} is {value}, but has to be at least 1.')


def divided_threads(jobs: int) -> dict[str, str]:
    """The variables with which each of so many processes takes its part of the cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    return {} if any(os.environ.get(name) for name in THREADS) else dict.fromkeys(THREADS, str(max(1, cores // jobs)))
