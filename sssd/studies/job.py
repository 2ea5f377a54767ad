"""One run of a study with a seed: all that is to be done, and what its work directory holds of it."""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sssd import provenance
from sssd.checkpoints.files import checkpoint_files, newest_checkpoint, number_of
from sssd.errors import UserError
from sssd.locks import LOCK, training_in
from sssd.report.scalars import history, read_curves
from sssd.studies.cluster import job_in
from sssd.studies.contents import digest, read_by, same
from sssd.studies.cost import Cost, Extent, Work
from sssd.studies.slots import launched
from sssd.studies.spec import RunSpec, fingerprint, load_config, option_arguments
from sssd.studies.trial import Trial
from sssd.whole_files import write_file

STATE = 'study_run.json'
LOG = 'study_run.log'
#: Stands for the checkpoint of a start that is not trained yet, or gone.
UNKNOWN = 'LAST_CHECKPOINT_OF_THE_START'
#: Seconds between two notes of how long a training has run.
STATE_SECONDS = 10.0


@dataclass
class Job:
    """A run with a seed.

    Attributes:
        run: What to run.
        seed: Its seed.
        work_dir: Where it runs.
        hash: Fingerprint of everything its specification says.
        extent: How long it trains.
        cost: What its iterations (or epochs) cost.
        start: The job whose last checkpoint it begins with, if any.
        trials: How it is tested when it is trained.
        processes: Its processes, one a GPU.
        reads: The annotation files and folders of unlabelled images that it and its start read.
    """

    run: RunSpec
    seed: int
    work_dir: Path
    hash: str
    extent: Extent
    cost: Cost
    start: 'Job | None' = field(default=None, repr=False)
    trials: Sequence[Trial] = ()
    processes: int = 1
    reads: Sequence[str] = ()

    @property
    def key(self) -> tuple[str, int]:
        """By what a results file has it."""
        return self.run.name, self.seed

    @property
    def title(self) -> str:
        """Its name for people."""
        return f'{self.run.name}, seed {self.seed}'

    @property
    def log(self) -> Path:
        """Where everything goes that its process prints."""
        return self.work_dir / LOG

    def arguments(self, resume_from: Path | None = None, unknown: str | None = None) -> list[str]:
        """The arguments of the training command; ``unknown`` stands for the checkpoint of a start that has none yet.

        Raises:
            UserError: If there is no such checkpoint, and nothing that stands for it.
        """
        options = self.run.options_for(self.seed)
        if self.start is not None and resume_from is None:
            checkpoint = self.start_checkpoint() or unknown
            if checkpoint is None:
                raise UserError(
                    f'{self.title} begins with {self.start.title}, but {self.start.work_dir} has no checkpoint of it '
                    'any more, as if another study with other settings had it for its own: give each its --work-dir, '
                    'and call the study again'
                )
            options['load_from'] = str(checkpoint)
        words = [self.run.config, '--work-dir', str(self.work_dir)]
        if resume_from is not None:
            words += ['--resume', str(resume_from)]
        return [*words, '--cfg-options', *option_arguments(options)]

    def shown_command(self) -> str:
        """The command for the records: no path that only this machine has."""
        root = self.work_dir.parent.parent
        variables = [f'{key}={value}' for key, value in self.run.environment_for(self.seed).items()]
        command = launched(['python', '-m', 'sssd', 'train', *self.arguments(unknown=UNKNOWN)], self.processes)
        words = ' '.join([*variables, *command])
        if os.path.isabs(root):
            words = words.replace(str(root), 'WORK_DIR')
        return words

    def is_held(self, entry: dict | None) -> bool:
        """Whether an entry of a results file is of this very training, with its data as they are now."""
        return entry is not None and entry['hash'] == self.hash and same(entry.get('data'), digest(self.reads))

    def untested(self, entry: dict) -> list[Trial]:
        """The trials that an entry of this job lacks."""
        return [trial for trial in self.trials if not trial.is_in(entry)]

    def works(self, entry: dict | None = None) -> list[Work]:
        """The processes to come: the training, if no entry is given that has it, and the trials that are missing."""
        trials = [Work(self.run.name, 0.0, 1) for _ in self.untested(entry or {})]
        if entry is not None or self.is_finished():
            return trials
        begin = (self.resume_point() or (0, None))[0]
        return [self.training(begin), *trials]

    def training(self, begin: int = 0) -> Work:
        """Its training after so many iterations (or epochs)."""
        return Work(self.run.name, self.cost.between(begin, self.extent.length), self.extent.evaluations(begin))

    def last_checkpoint(self) -> Path | None:
        """The newest of its checkpoints that can be read; None if it has left none.

        Raises:
            UserError: If it has, but none can be read.
        """
        return newest_checkpoint(self.work_dir)

    def start_checkpoint(self) -> Path | None:
        """The checkpoint of the start that it begins with; None where that is not trained yet."""
        return self.start.last_checkpoint() if self.start is not None and self.start.is_finished() else None

    def resume_point(self, say: Callable[[str], None] = lambda sentence: None) -> tuple[int, Path] | None:
        """The iteration (or epoch) and the checkpoint to go on from; from one at the end the last evaluation is made.

        What a run that is specified otherwise has left in its place, and is going to be moved away, does not count.

        Args:
            say: Called with a sentence about each newer one that cannot be read.

        Raises:
            UserError: If there are some, but none can be read.
        """
        found = None if self.has_other() else newest_checkpoint(self.work_dir, say=say)
        return None if found is None else (number_of(found), found)

    def newest_number(self) -> int:
        """The iteration (or epoch) of its newest checkpoint, by the name alone; 0 if there is none."""
        return max((number_of(path) for path in checkpoint_files(self.work_dir)[:1]), default=0)

    def is_finished(self) -> bool:
        """Whether what is in its place is of this very specification and ran to its end, evaluation included."""
        return self.is_own() and self.read_state().get('finished', False) and bool(checkpoint_files(self.work_dir))

    def read_state(self) -> dict:
        """What is known of its work directory: hash, attempts, finished.

        Raises:
            UserError: If its file is damaged.
        """
        path = self.work_dir / STATE
        if not path.is_file():
            return {'hash': self.hash, 'data': digest(self.reads), 'finished': False, 'attempts': []}
        try:
            state = json.loads(path.read_text())
            state['hash'], state['attempts']
        except (ValueError, KeyError, TypeError):
            raise UserError(
                f'{path} does not say what was trained there, it is damaged: move its folder away, and the run is '
                'trained anew'
            ) from None
        return state

    def write_state(self, state: dict) -> None:
        """Replace the state in one step."""
        write_file(self.work_dir / STATE, json.dumps(state, indent=1) + '\n')

    @contextmanager
    def attempt(self, resume_from: Path | None) -> Iterator['Attempt']:
        """Note a start of its training, and how long it ran, in its state."""
        state = self.read_state()
        note = {
            'started': provenance.now(),
            **provenance.commit(),
            'seconds': 0.0,
            'resumed_from': resume_from.name if resume_from else None,
        }
        state['attempts'].append(note)
        self.work_dir.mkdir(parents=True, exist_ok=True)
        self.write_state(state)
        attempt = Attempt(self, state, note)
        try:
            yield attempt
        finally:
            attempt.keep(0.0)

    def finish(self) -> None:
        """Note that it ran to its end."""
        self.write_state({**self.read_state(), 'finished': True})

    def clear_other(self) -> Path | None:
        """Move away what a run that is specified otherwise, or had other data, left in its place.

        Returns:
            Where it is now, or None if there was none.

        Raises:
            UserError: If something still trains there, or is to, naming it and how to end it.
        """
        if not self.has_other():
            return None
        self._refuse_to_move()
        number = 1
        while (old := self.work_dir.with_name(f'{self.work_dir.name}.old{number}')).exists():
            number += 1
        self.work_dir.rename(old)
        return old

    def has_other(self) -> bool:
        """Whether a run that is specified otherwise, or had other data, has left something in its place."""
        left = self.work_dir.is_dir() and any(path.name != LOCK for path in self.work_dir.iterdir())
        return left and not self.is_own()

    def is_own(self) -> bool:
        """Whether what is in its place is of this very specification and of the data as they are now."""
        return (self.work_dir / STATE).is_file() and self.is_held(self.read_state())

    def _refuse_to_move(self) -> None:
        """Refuse to move the folder of a training under way, or of one in a queue."""
        changed = f'{self.title} is specified otherwise, or has other data, than what is in {self.work_dir}'
        found = job_in(self.work_dir)
        if found is not None:
            raise UserError(
                f'{changed}, where job {found[0]} of Slurm still runs or waits: wait until it has ended, or end it '
                f'with `scancel {found[0]}`, and call the study again (if it has ended and Slurm cannot be asked here, '
                f'remove {found[1]}).'
            )
        holder = training_in(self.work_dir)
        if holder is not None:
            raise UserError(
                f'{changed}, where {holder} still trains: wait until it has ended, or {holder.remedy}, and call the '
                'study again.'
            )

    def evaluations(self) -> dict:
        """Its evaluations so far, by role."""
        return history(read_curves(self.work_dir))


def hash_in(folder: Path) -> str | None:
    """The fingerprint of the run that is in a folder; None where there is none that can be read."""
    try:
        return json.loads((folder / STATE).read_text())['hash']
    except (OSError, ValueError, KeyError, TypeError):
        return None


class Attempt:
    """A start of a job's training: how long it ran is noted now and then, should we be killed.

    Args:
        job: The job.
        state: The state of its work directory.
        note: What the state says of this start.
    """

    def __init__(self, job: Job, state: dict, note: dict) -> None:
        self._job, self._state, self._note = job, state, note
        self._began = self._saved = time.monotonic()
        self._waits = False
        self._measured: Callable[[], float | None] = lambda: None

    def follow(self, child) -> None:
        """Take the time that a process measures itself, if it does; one that an earlier call began is no new start.

        Args:
            child: The process, a :class:`~sssd.studies.child.Child` or what stands for one.
        """
        self._measured = lambda: child.seconds
        attempts = self._state['attempts']
        if child.followed and len(attempts) > 1:
            attempts.pop()
            self._note = attempts[-1]
            self._job.write_state(self._state)

    def keep(self, wait: float = STATE_SECONDS) -> None:
        """Note the seconds so far, if the last note is ``wait`` seconds old."""
        now, measured = time.monotonic(), self._measured()
        if now - self._saved >= wait and not (self._waits and measured is None):
            self._saved = now
            self._note['seconds'] = round(now - self._began if measured is None else measured, 1)
            self._job.write_state(self._state)

    def wait(self) -> None:
        """It is in the queue of a cluster, and has not begun or is to go on."""
        self._waits = True

    def begin(self) -> bool:
        """It runs; true where that is new."""
        new, self._waits = self._waits, False
        if new:
            self._began = self._saved = time.monotonic()
        return new

    def ran_on(self, machine: dict | None) -> None:
        """Note the machine, if it was another than this one."""
        if machine is not None:
            self._note['machine'] = machine
            self._job.write_state(self._state)


def make_job(
    run: RunSpec,
    seed: int,
    root: Path,
    *,
    data: dict | list[dict] | None,
    start: Job | None,
    trials: Sequence[Trial] = (),
    processes: int = 1,
) -> Job:
    """A job of a study under the study's work directory ``root``."""
    config = load_config(run, seed)
    start = start if run.from_start else None
    reads = dict.fromkeys([*read_by(config), *(start.reads if start else ())])
    return Job(
        run=run,
        seed=seed,
        work_dir=Path(root) / f'seed{seed}' / run.name,
        hash=fingerprint(run, seed, start.run if start else None, data, processes),
        extent=Extent.of(config),
        cost=Cost.of(config),
        start=start,
        trials=trials,
        processes=processes,
        reads=tuple(reads),
    )
