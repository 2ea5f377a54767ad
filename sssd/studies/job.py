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
from sssd.report.scalars import history, read_curves
from sssd.studies.cost import Extent, Work, iteration_cost
from sssd.studies.slots import launched
from sssd.studies.spec import RunSpec, fingerprint, load_config, option_arguments
from sssd.studies.trial import Trial

STATE = 'study_run.json'
LOG = 'study_run.log'
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
        cost: What an iteration (or epoch) costs.
        start: The job whose last checkpoint it begins with, if any.
        trials: How it is tested when it is trained.
        processes: Its processes, one a GPU.
    """

    run: RunSpec
    seed: int
    work_dir: Path
    hash: str
    extent: Extent
    cost: float
    start: 'Job | None' = field(default=None, repr=False)
    trials: Sequence[Trial] = ()
    processes: int = 1

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
        """The arguments of the training command; ``unknown`` stands for the checkpoint of a start that has none yet."""
        options = self.run.options_for(self.seed)
        if self.start is not None and resume_from is None:
            options['load_from'] = str(self.start.last_checkpoint() or unknown)
        words = [self.run.config, '--work-dir', str(self.work_dir)]
        if resume_from is not None:
            words += ['--resume', str(resume_from)]
        return [*words, '--cfg-options', *option_arguments(options)]

    def shown_command(self) -> str:
        """The command for the records: no path that only this machine has."""
        root = self.work_dir.parent.parent
        variables = [f'{key}={value}' for key, value in self.run.environment_for(self.seed).items()]
        command = launched(['python', '-m', 'sssd', 'train', *self.arguments()], self.processes)
        words = ' '.join([*variables, *command])
        if os.path.isabs(root):
            words = words.replace(str(root), 'WORK_DIR')
        return words

    def is_held(self, entry: dict | None) -> bool:
        """Whether an entry of a results file is of this very training."""
        return entry is not None and entry['hash'] == self.hash

    def untested(self, entry: dict) -> list[Trial]:
        """The trials that an entry of this job lacks."""
        return [trial for trial in self.trials if not trial.is_in(entry)]

    def works(self, entry: dict | None = None) -> list[Work]:
        """The processes to come: the training, if no entry is given that has it, and the trials that are missing."""
        trials = [Work(self.run.name, 0.0, 1) for _ in self.untested(entry or {})]
        if entry is not None or (self._is_own() and self.is_finished()):
            return trials
        begin = (self.resume_point() or (0, None))[0] if self._is_own() else 0
        return [self.training(begin), *trials]

    def training(self, begin: int = 0) -> Work:
        """Its training after so many iterations (or epochs)."""
        cost = (self.extent.length - begin) * self.cost
        return Work(self.run.name, cost, self.extent.evaluations(begin))

    def last_checkpoint(self) -> Path | None:
        """The newest of its checkpoints that can be read; None if it has left none.

        Raises:
            UserError: If it has, but none can be read.
        """
        return newest_checkpoint(self.work_dir)

    def resume_point(self, say: Callable[[str], None] = lambda sentence: None) -> tuple[int, Path] | None:
        """The iteration (or epoch) and the checkpoint to go on from; from one at the end the last evaluation is made.

        Args:
            say: Called with a sentence about each newer one that cannot be read.

        Raises:
            UserError: If there are some, but none can be read.
        """
        found = newest_checkpoint(self.work_dir, say=say)
        return None if found is None else (number_of(found), found)

    def is_finished(self) -> bool:
        """Whether it ran to its end, evaluation included."""
        return self.read_state().get('finished', False) and bool(checkpoint_files(self.work_dir))

    def read_state(self) -> dict:
        """What is known of its work directory: hash, attempts, finished."""
        path = self.work_dir / STATE
        if path.is_file():
            return json.loads(path.read_text())
        return {'hash': self.hash, 'finished': False, 'attempts': []}

    def write_state(self, state: dict) -> None:
        """Replace the state in one step."""
        fresh = self.work_dir / f'.{STATE}'
        fresh.write_text(json.dumps(state, indent=1) + '\n')
        os.replace(fresh, self.work_dir / STATE)

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
        """Move away what a differently specified run left in its place.

        Returns:
            Where it is now, or None if there was none.
        """
        if not self.work_dir.is_dir() or not any(self.work_dir.iterdir()) or self._is_own():
            return None
        number = 1
        while (old := self.work_dir.with_name(f'{self.work_dir.name}.old{number}')).exists():
            number += 1
        self.work_dir.rename(old)
        return old

    def _is_own(self) -> bool:
        return (self.work_dir / STATE).is_file() and self.read_state()['hash'] == self.hash

    def evaluations(self) -> dict:
        """Its evaluations so far, by role."""
        return history(read_curves(self.work_dir))


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

    def keep(self, wait: float = STATE_SECONDS) -> None:
        """Note the seconds so far, if the last note is ``wait`` seconds old."""
        now = time.monotonic()
        if not self._waits and now - self._saved >= wait:
            self._saved = now
            self._note['seconds'] = round(now - self._began, 1)
            self._job.write_state(self._state)

    def wait(self) -> None:
        """It has not begun yet: a cluster has it in its queue."""
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
    return Job(
        run=run,
        seed=seed,
        work_dir=Path(root) / f'seed{seed}' / run.name,
        hash=fingerprint(run, seed, start.run if start else None, data, processes),
        extent=Extent.of(config),
        cost=iteration_cost(config),
        start=start,
        trials=trials,
        processes=processes,
    )
