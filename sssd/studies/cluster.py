"""Runs of a study as jobs of a cluster, through submitit: Slurm, or submitit's own executor on this machine."""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sssd import provenance
from sssd.errors import UserError
from sssd.studies.child import POLL_SECONDS, Child, refuse_failure
from sssd.studies.slots import launched, require_counts
from sssd.studies.spec import environment as set_environment
from sssd.whole_files import write_file

#: What a job asks for unless the options say otherwise: minutes, and the seconds before their end at which it saves.
MINUTES, SAVE_SECONDS, CPUS_PER_GPU = 24 * 60, 180, 5
#: How often a job that has used its time up is queued again; preempted ones are in any case.
TIMEOUTS = 1000
#: Where the work directory of a run names its job, where submitit's files lie, and where the job says how long it ran.
NOTE, FOLDER, CLOCK = 'cluster_job.json', 'cluster', 'cluster_clock.json'
CANCEL_SECONDS = 120.0
#: Seconds between two notes of a job's own of how long it has run.
CLOCK_SECONDS = 10.0


class Command:
    """What a job of the cluster does: a command with a log, which goes on from its newest checkpoint when it has to.

    It notes beside the log how long it has run in all, times in the queue left out, and whether it waits there again.
    By that it knows as well that it has run before, where the cluster starts it anew as a node has failed.

    Args:
        words: The command.
        log: File that what it prints is added to.
        environment: Variables of the environment, over those of the job.
        resumes: Whether it takes ``--resume``, after a preemption or where its time is up.
    """

    def __init__(self, words: Sequence[str], log: str, environment: Mapping[str, str], resumes: bool) -> None:
        self.words, self.log, self.environment, self.resumes = list(words), log, dict(environment), resumes
        self._child: Child | None = None
        self._before, self._began = 0.0, time.monotonic()

    def __call__(self) -> dict[str, Any]:
        """Run it; its exit status and the kind of machine."""
        seconds, queued = read_clock(Path(self.log))
        words = self.words if queued is None else self._resuming()
        self._before, self._began = seconds, time.monotonic()
        self._note()
        noted = self._began
        with Child(words, Path(self.log), self.environment) as self._child:
            while self._child.running():
                if time.monotonic() - noted >= CLOCK_SECONDS:
                    noted = time.monotonic()
                    self._note()
        self._note()
        return dict(returncode=self._child.returncode, machine=provenance.machine())

    def checkpoint(self, *_):
        """End it, so that it saves; submitit queues what is returned."""
        from submitit.helpers import DelayedSubmission

        self._child.__exit__()
        self._note(queued=True)
        return DelayedSubmission(Command(self._resuming(), self.log, self.environment, self.resumes))

    def _resuming(self) -> list[str]:
        """The command that goes on: not from where this job began, but from the newest checkpoint."""
        words = self.words
        if self.resumes and '--resume' in words:
            place = words.index('--resume')
            words = [*words[:place], *words[place + 2 :]]
        return [*words, *['--resume'] * self.resumes]

    def _note(self, queued: bool = False) -> None:
        seconds = self._before + time.monotonic() - self._began
        with suppress(OSError):  # a full disk is the training's to tell
            write_file(Path(self.log).with_name(CLOCK), json.dumps(dict(seconds=round(seconds, 1), queued=queued)))


def read_clock(log: Path) -> tuple[float, bool | None]:
    """How long the job of a log has run by its own account, and whether it is in the queue again; 0, None for none."""
    try:
        said = json.loads(log.with_name(CLOCK).read_text())
        return float(said['seconds']), bool(said['queued'])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0, None


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
            kind = submitit.SlurmExecutor if self.cluster == 'slurm' else submitit.LocalExecutor
            executor = kind(folder, max_num_timeout=TIMEOUTS)
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
        self.followed = False

    def __enter__(self) -> 'Submitted':
        self._offset = self.log.stat().st_size if self.log.is_file() else 0
        found = self._found()
        self.followed = found is not None
        self._job = found or self._submit()
        return self

    def __exit__(self, *_) -> None:
        if not self._ended():
            self._cancel()
        if self._ended():  # else it is followed by the next call
            self.note.unlink(missing_ok=True)

    def _cancel(self) -> None:
        try:
            self._job.cancel(check=False)
        except OSError:  # no scancel: the job's own end is waited for, and told by the next call
            return
        if self.slot.cluster == 'slurm':
            self._job.watcher.register_job(self._job.job_id)  # or it would ask for a long job every ten minutes only
        end = time.monotonic() + CANCEL_SECONDS
        while not self._ended() and time.monotonic() < end:
            time.sleep(0.1)

    @property
    def waits(self) -> bool:
        """Whether it is in the queue: it has printed nothing yet, or is to go on."""
        if self._ended():
            return False
        queued = read_clock(self.log)[1]
        return not self._has_printed() if queued is None else queued

    def _has_printed(self) -> bool:
        return self.log.is_file() and self.log.stat().st_size > self._offset

    @property
    def seconds(self) -> float | None:
        """How long it has run by its own account, without the times in the queue; None where it gave none."""
        seconds, queued = read_clock(self.log)
        return None if queued is None else seconds

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
            raise UserError(
                f'{what} was ended by the cluster, job {self._job.job_id} ({last_line(error)}): see {self.log} and '
                f'{self._job.paths.stderr}, and call the study again; what is done is kept'
            )
        refuse_failure(what, self._job.result()['returncode'], self.log, self._offset)

    def _submit(self):
        executor = self.slot.executor(self.folder)
        if self.slot.cluster == 'slurm':
            executor.update_parameters(job_name=''.join(sign if sign.isalnum() else '_' for sign in self.title))
        words = launched(self.words, self.slot.processes)
        command = Command(words, str(self.log.resolve()), self.environment, '--resume' in words or 'train' in words)
        self.log.with_name(CLOCK).unlink(missing_ok=True)  # of an earlier job
        with set_environment({}):  # another thread may be reading a config with its run's variables
            try:
                job = executor.submit(command)
            except (RuntimeError, OSError) as error:  # with what sbatch said, or it is not there
                raise UserError(
                    f'the cluster took no job for {self.title} ({last_line(error)}): check --partition and '
                    '--cluster-options, and how many jobs you may have; call the study again, what is done is kept'
                ) from error
        said = dict(
            cluster=self.slot.cluster, job=job.job_id, offset=self._offset, inode=self.note.parent.stat().st_ino
        )
        write_file(self.note, json.dumps(said))
        return job

    def _found(self):
        """The job of Slurm that an earlier call left behind, if it has not ended."""
        if self.slot.cluster != 'slurm' or (said := read_note(self.note)) is None:
            return None
        job = require_submitit().SlurmJob(self.folder, said['job'])
        if job.done(force_check=True):
            return None
        self._offset = said['offset']
        return job

    def _ended(self) -> bool:
        return self._job.done()


def last_line(error: BaseException) -> str:
    """The last line of what an error says; its type if it is mute."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()


def read_note(note: Path) -> dict | None:
    """What a note says of a job of Slurm in its folder; None where there is none, or it came with a copied folder."""
    try:
        said = json.loads(note.read_text())
        here = said.get('inode', inode := note.parent.stat().st_ino) == inode
        return said if said['cluster'] == 'slurm' and said['job'] and 'offset' in said and here else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def job_in(folder: Path) -> tuple[str, Path] | None:
    """A job of Slurm for a run or one of its tests that has not ended, as far as Slurm tells: its number and note.

    Args:
        folder: The run's work directory.
    """
    for note in sorted(folder.rglob(NOTE)):
        said = read_note(note)
        if said is not None and _may_run(note, said['job']):
            return said['job'], note
    return None


def _may_run(note: Path, number: str) -> bool:
    try:
        from submitit import SlurmJob
    except ImportError:  # nobody can be asked
        return True
    return not SlurmJob(note.with_name(FOLDER).resolve(), number).done(force_check=True)


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
    require_counts(jobs, gpus_per_run)
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
