"""Runs of a study as jobs of a cluster, through submitit: Slurm, or submitit's own executor on this machine."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sssd import provenance
from sssd.errors import UserError
from sssd.studies.child import POLL_SECONDS, Child, refuse_failure
from sssd.studies.slots import GRACE, launched
from sssd.studies.spec import environment as set_environment

CLUSTERS = ('slurm', 'local')
#: What a job asks for unless the options say otherwise: minutes, and the seconds before their end at which it saves.
MINUTES, SAVE_SECONDS, CPUS_PER_GPU = 24 * 60, 180, 5
#: How often a job that has used its time up is queued again; preempted ones are in any case.
TIMEOUTS = 1000
#: Where the work directory of a run names its job, and where submitit's files lie.
NOTE, FOLDER = 'cluster_job.json', 'cluster'
CANCEL_SECONDS = 120.0


class Command:
    """What a job of the cluster does: a command with a log, which goes on from its newest checkpoint when it has to.

    Args:
        words: The command.
        log: File that what it prints is added to.
        environment: Variables of the environment, over those of the job.
        resumes: Whether it takes ``--resume``, after a preemption or where its time is up.
    """

    def __init__(self, words: Sequence[str], log: str, environment: Mapping[str, str], resumes: bool) -> None:
        self.words, self.log, self.environment, self.resumes = list(words), log, dict(environment), resumes
        self._child: Child | None = None

    def __call__(self) -> dict[str, Any]:
        """Run it; its exit status and the kind of machine."""
        with Child(self.words, Path(self.log), self.environment, GRACE) as self._child:
            while self._child.running():
                pass
        return dict(returncode=self._child.returncode, machine=provenance.machine())

    def checkpoint(self, *_):
        """End it, so that it saves; submitit queues what is returned."""
        from submitit.helpers import DelayedSubmission

        self._child.__exit__()
        words = self.words
        if self.resumes and '--resume' in words:  # not from where this job began, but from the newest
            place = words.index('--resume')
            words = [*words[:place], *words[place + 2 :]]
        return DelayedSubmission(
            Command([*words, *['--resume'] * self.resumes], self.log, self.environment, self.resumes)
        )


@dataclass(frozen=True)
class ClusterSlot:
    """One of the runs that are on a cluster at once.

    Attributes:
        cluster: ``'slurm'`` or ``'local'``.
        processes: Processes of a run, one a GPU.
        parameters: What submitit's executor is told.
        number: Tells slots from each other.
    """

    cluster: str
    processes: int = 1
    parameters: Mapping[str, Any] = field(default_factory=dict)
    number: int = 0

    def start(self, words: Sequence[str], log: Path, environment: Mapping[str, str], title: str) -> 'Submitted':
        """A command as a job, to be entered."""
        return Submitted(self, words, log, environment, title)

    def executor(self, folder: Path):
        """A new executor, whose files lie in a folder.

        Raises:
            UserError: If submitit or Slurm is missing, or it has no such parameter.
        """
        submitit = require_submitit()
        try:
            if self.cluster == 'slurm':
                executor = submitit.SlurmExecutor(folder, max_num_timeout=TIMEOUTS)
            else:
                executor = submitit.LocalExecutor(folder, max_num_timeout=TIMEOUTS)
            executor.update_parameters(**self.parameters)
        except RuntimeError as error:
            raise UserError(f'there is no Slurm on this machine ({error}): run it where sbatch is.') from error
        except (ValueError, TypeError) as error:
            text = ' '.join(str(error).split())
            raise UserError(f'--cluster-options: {text}') from error
        return executor


class Submitted:
    """A command as a job of a cluster: what :class:`~sssd.studies.child.Child` is on this machine.

    Where the work directory names a job of Slurm that is not done, that one is followed, and none is submitted: the
    study was ended without having been able to cancel it.
    """

    def __init__(
        self, slot: ClusterSlot, words: Sequence[str], log: Path, environment: Mapping[str, str], title: str
    ) -> None:
        self.slot, self.words, self.log, self.environment, self.title = slot, words, log, environment, title
        self.note = log.with_name(NOTE)
        self.folder = log.with_name(FOLDER).resolve()

    def __enter__(self) -> 'Submitted':
        self._offset = self.log.stat().st_size if self.log.is_file() else 0
        self._job = self._found() or self._submit()
        return self

    def __exit__(self, *_) -> None:
        if not self._ended():
            self._job.cancel(check=False)
            end = time.monotonic() + CANCEL_SECONDS
            while not self._ended() and time.monotonic() < end:
                time.sleep(0.1)
        if self._ended():  # else it is followed by the next call
            self.note.unlink(missing_ok=True)

    @property
    def waits(self) -> bool:
        """Whether it is in the queue: it has printed nothing yet."""
        return not self._ended() and (not self.log.is_file() or self.log.stat().st_size <= self._offset)

    def running(self) -> bool:
        """Whether it waits or runs; takes about a second."""
        if self._ended():
            return False
        time.sleep(POLL_SECONDS)
        return not self._ended()

    @property
    def machine(self) -> dict | None:
        """What it ran on; None where it did not end by itself."""
        return self._job.result()['machine'] if self._ended() and self._job.exception() is None else None

    def check(self, what: str) -> None:
        """Refuse an end that is none of success.

        Raises:
            UserError: With the exit status and the last error of its log, or what the cluster says of the job.
        """
        error = self._job.exception()
        if error is not None:
            line = next((line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
            raise UserError(
                f'{what} was ended by the cluster, job {self._job.job_id} ({line.strip()}): see {self.log} and '
                f'{self._job.paths.stderr}, and call the study again; what is done is kept'
            )
        refuse_failure(what, self._job.result()['returncode'], self.log, self._offset)

    def _submit(self):
        executor = self.slot.executor(self.folder)
        if self.slot.cluster == 'slurm':
            executor.update_parameters(job_name=''.join(sign if sign.isalnum() else '_' for sign in self.title))
        words = launched(self.words, self.slot.processes)
        command = Command(words, str(self.log.resolve()), self.environment, '--resume' in words or 'train' in words)
        with set_environment({}):  # another thread may be reading a config with its run's variables
            try:
                job = executor.submit(command)
            except RuntimeError as error:  # of submitit, with what sbatch said
                line = next((line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
                raise UserError(
                    f'the cluster took no job for {self.title} ({line.strip()}): check --partition and '
                    '--cluster-options, and how many jobs you may have; call the study again, what is done is kept'
                ) from error
        self.note.write_text(json.dumps(dict(cluster=self.slot.cluster, job=job.job_id, offset=self._offset)))
        return job

    def _found(self):
        """The job of Slurm that an earlier call left behind, if it has not ended."""
        if self.slot.cluster != 'slurm' or not self.note.is_file():
            return None
        said = json.loads(self.note.read_text())
        if said['cluster'] != 'slurm':
            return None
        job = require_submitit().SlurmJob(self.folder, said['job'])
        if job.done(force_check=True):
            return None
        self._offset = said['offset']
        return job

    def _ended(self) -> bool:
        return self._job.done()


def cluster_slots(
    cluster: str, jobs: int, gpus_per_run: int | None, partition: str | None, options: Mapping[str, Any]
) -> list[ClusterSlot]:
    """Slots for so many runs at once on a cluster.

    Args:
        cluster: ``'slurm'`` or ``'local'``.
        jobs: Runs at once, in the queue or running.
        gpus_per_run: GPUs of a run, all on one node; None asks for one on Slurm and for none here.
        partition: Slurm's partition.
        options: More parameters of submitit's executor, over those made here.

    Raises:
        UserError: If a number is below 1, or submitit is missing.
    """
    for key, value in (('--jobs', jobs), ('--gpus-per-run', gpus_per_run)):
        if value is not None and value < 1:
            raise UserError(f'{key} is {value}, but has to be at least 1.')
    gpus = gpus_per_run or (1 if cluster == 'slurm' else 0)
    if cluster == 'slurm':
        parameters = dict(time=MINUTES, nodes=1, ntasks_per_node=1, signal_delay_s=SAVE_SECONDS)
        parameters.update(cpus_per_task=CPUS_PER_GPU * gpus, gpus_per_node=gpus)
        parameters.update({} if partition is None else dict(partition=partition))
    else:
        parameters = dict(timeout_min=MINUTES, gpus_per_node=gpus)
    parameters.update(options)
    return [ClusterSlot(cluster, max(1, gpus), parameters, number) for number in range(jobs)]


def require_submitit():
    """The module ``submitit``.

    Raises:
        UserError: If it is not installed.
    """
    try:
        import submitit
    except ImportError as error:
        raise UserError(
            '--cluster needs the package submitit, which is not installed: pip install "submitit>=1.5"'
        ) from error
    return submitit
