# Copyright (c) sssd contributors. Licensed under the Apache License 2.0.
"""Testing a trained run in several ways, each in a process of its own: at other image sizes, with an ensemble."""
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sssd.analysis.scalars import METRICS
from sssd.errors import UserError
from sssd.places import brought

from .job import Job
from .spec import option_arguments

TEST_COMMAND = (sys.executable, '-m', 'sssd', 'test')
#: The variable of the environment that names the config which an ablation, or a trial, is over.
BASE = 'SED_BASE'


@dataclass(frozen=True)
class Trial:
    """One way to test a run's last checkpoint.

    Attributes:
        name: Its name in the results.
        cfg_options: Dotted config keys and their values, over the run's own.
        config: A config over the run's, which it names by :data:`BASE`; empty for the run's own config.
        tta: With test-time augmentation.
    """

    name: str
    cfg_options: dict[str, Any] = field(default_factory=dict)
    config: str = ''
    tta: bool = False

    def arguments(self, job: Job, work_dir: Path) -> list[str]:
        """The arguments of the test command for a run."""
        options = {**job.run.options_for(job.seed), **self.cfg_options}
        words = [self.config or job.run.config, str(job.last_checkpoint()), '--work-dir', str(work_dir)]
        return [*words, *['--tta'] * self.tta, '--cfg-options', *option_arguments(options)]

    def environment(self, job: Job) -> dict[str, str]:
        """The environment's variables for a run."""
        return {**job.run.environment_for(job.seed), **({BASE: absolute(job.run.config)} if self.config else {})}

    def run(self, job: Job, command: Sequence[str] = TEST_COMMAND) -> dict[str, float]:
        """Test a finished run.

        Returns:
            Its metrics in percent, named as those of an evaluation in training.

        Raises:
            UserError: If the test fails or leaves no metrics.
        """
        work_dir = job.work_dir / 'trials' / self.name
        work_dir.mkdir(parents=True, exist_ok=True)
        log = work_dir / 'trial.log'
        before = set(work_dir.glob('*/*.json'))
        with open(log, 'ab') as handle:
            code = subprocess.call([*command, *self.arguments(job, work_dir)], stdin=subprocess.DEVNULL, stdout=handle,
                                   stderr=subprocess.STDOUT, env={**os.environ, **self.environment(job)})
        fresh = set(work_dir.glob('*/*.json')) - before
        if code != 0 or len(fresh) != 1:
            raise UserError(f'the test {self.name} of {job.title} failed with exit status {code}: see the end of '
                            f'{log}, mend it and call the study again; what is done is kept')
        return metrics_of(json.loads(fresh.pop().read_text()))


def metrics_of(logged: dict[str, Any]) -> dict[str, float]:
    """The metrics of a test's log in percent, by their short names; an AP of 0 where nothing at all was detected."""
    named = {METRICS[name.split('/')[-1]]: value for name, value in logged.items() if name.split('/')[-1] in METRICS}
    return {name: round(100 * value, 2) for name, value in named.items() if value >= 0} or {'AP': 0., 'AP50': 0.}


def absolute(config: str) -> str:
    """A config's path for configs in other folders: whole, unless it comes with the package."""
    return config if brought(config) else str(Path(config).resolve())
