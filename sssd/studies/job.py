"""One run of a study: its command, its work directory and how far it is."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from sssd.checkpoints.files import checkpoint_files, newest_checkpoint
from sssd.report.scalars import history, read_curves
from sssd.studies.spec import RunSpec, fingerprint, load_config, option_arguments

STATE = 'study_run.json'
LOG = 'study_run.log'


@dataclass
class Job:
    """A run with a seed.

    Attributes:
        run: What to run.
        seed: Its seed.
        work_dir: Where it runs.
        hash: Fingerprint of everything its specification says.
        start: The job whose last checkpoint it begins with, if any.
    """

    run: RunSpec
    seed: int
    work_dir: Path
    hash: str
    start: Optional['Job'] = field(default=None, repr=False)

    @property
    def title(self) -> str:
        """Its name for people."""
        return f'{self.run.name}, seed {self.seed}'

    @property
    def log(self) -> Path:
        """Where everything goes that its process prints."""
        return self.work_dir / LOG

    def arguments(self, resume_from: Path | None = None) -> list[str]:
        """The arguments of the training command."""
        options = self.run.options_for(self.seed)
        if self.start is not None and resume_from is None:
            options['load_from'] = str(self.start.last_checkpoint())
        words = [self.run.config, '--work-dir', str(self.work_dir)]
        if resume_from is not None:
            words += ['--resume', str(resume_from)]
        return [*words, '--cfg-options', *option_arguments(options)]

    def shown_command(self) -> str:
        """The command for the records: no path that only this machine has."""
        root = self.work_dir.parent.parent
        variables = [f'{key}={value}' for key, value in self.run.environment_for(self.seed).items()]
        words = ' '.join([*variables, 'python -m sssd train', *self.arguments()])
        if os.path.isabs(root):
            words = words.replace(str(root), 'WORK_DIR')
        return words

    def last_checkpoint(self) -> Path | None:
        """The newest of its checkpoints that can be read; None if it has left none.

        Raises:
            UserError: If it has, but none can be read.
        """
        return newest_checkpoint(self.work_dir)

    def resume_point(self, say: Callable[[str], None] = lambda sentence: None) -> Path | None:
        """The checkpoint to go on from; from one at the very end the last evaluation is made.

        Args:
            say: Called with a sentence about each newer one that cannot be read.

        Raises:
            UserError: If there are some, but none can be read.
        """
        return newest_checkpoint(self.work_dir, say=say)

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

    def clear_other(self) -> Path | None:
        """Move away what a differently specified run left in its place.

        Returns:
            Where it is now, or None if there was none.
        """
        if not self.work_dir.is_dir() or not any(self.work_dir.iterdir()):
            return None
        known = (self.work_dir / STATE).is_file()
        if known and self.read_state()['hash'] == self.hash:
            return None
        number = 1
        while (old := self.work_dir.with_name(f'{self.work_dir.name}.old{number}')).exists():
            number += 1
        self.work_dir.rename(old)
        return old

    def evaluations(self) -> dict:
        """Its evaluations so far, by role."""
        return history(read_curves(self.work_dir))


def make_job(run: RunSpec, seed: int, root: Path, *, data: dict | list[dict] | None, start: Job | None) -> Job:
    """A job of a study under the study's work directory ``root``."""
    load_config(run, seed)  # a config that cannot be read is told here
    start = start if run.from_start else None
    return Job(
        run=run,
        seed=seed,
        work_dir=Path(root) / f'seed{seed}' / run.name,
        hash=fingerprint(run, seed, start.run if start else None, data),
        start=start,
    )
