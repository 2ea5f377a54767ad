"""Testing one checkpoint in a process of its own."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from sssd.errors import UserError
from sssd.studies.child import Child
from sssd.studies.slots import Slot
from sssd.studies.trial import metrics_of


def run_test(
    command: Sequence[str],
    tick: Callable[[str], None],
    name: str,
    config: Config,
    checkpoint: Path,
    work_dir: Path,
    flags: Sequence[str] = (),
    start: Callable[..., Child] | None = None,
) -> dict[str, Any]:
    """Test a checkpoint.

    Args:
        command: The words before the arguments.
        tick: Called about once a second with what is tested.
        name: What is tested, for people.
        config: The full config of the test.
        checkpoint: The checkpoint.
        work_dir: Where the config, the log and the metrics go; made if missing.
        flags: More arguments.
        start: Starts the process: :meth:`sssd.studies.slots.Slot.start`; default: here, with all there is.

    Returns:
        Its metrics in percent, named as those of an evaluation in training.

    Raises:
        UserError: If the process fails, or leaves no metrics.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    path, log = work_dir / 'config.py', work_dir / 'trial.log'
    config.dump(path)
    before = set(work_dir.glob('*/*.json'))
    words = [*command, str(path), str(checkpoint), '--work-dir', str(work_dir), *flags]
    with (start or Slot().start)(words, log, {}, f'test {name}') as child:
        while child.running():
            tick(f'test {name}')
    child.check(f'the test {name}')
    fresh = set(work_dir.glob('*/*.json')) - before
    if len(fresh) != 1:
        raise UserError(f'the test {name} left no metrics in {work_dir}: see the end of {log}')
    return metrics_of(json.loads(fresh.pop().read_text()))
