"""Testing a trained run at other image sizes, and with the ensemble of several (SED, Table 7)."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from mmengine.config import Config

from sssd.errors import UserError
from sssd.report.scalars import METRICS
from sssd.studies.child import Child
from sssd.studies.spec import load_config

TEST_COMMAND = (sys.executable, '-m', 'sssd', 'test')
#: :func:`run_test` with its command: metrics by what is tested, its config, checkpoint, work directory and flags.
Tester = Callable[..., dict[str, Any]]
#: What mmdet's model for an ensemble asks of every view.
META_KEYS = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction')


@dataclass(frozen=True)
class Trial:
    """One way to test a run's last checkpoint.

    Attributes:
        name: Its name in the results.
        parts: The size of the images as a part of that in the run's test pipeline; of several, the detections are
            joined by NMS at 0.5.
    """

    name: str
    parts: tuple[float, ...]
    #: How many processes it takes.
    processes: ClassVar[int] = 1

    def is_in(self, entry: Mapping) -> bool:
        """Whether an entry of a results file has this test."""
        return self.name in entry.get('trials', {})

    def run(self, job, test: Tester) -> dict[str, Any]:
        """Test a finished job.

        Args:
            job: The :class:`~sssd.studies.job.Job`.
            test: Tests one checkpoint.

        Returns:
            Its metrics in percent, named as those of an evaluation in training.
        """
        config, flags = self.config_of(load_config(job.run, job.seed)), ['--tta'] * (len(self.parts) > 1)
        place = job.work_dir / 'trials' / self.name
        return test(f'{self.name} of {job.title}', config, job.last_checkpoint(), place, flags)

    def config_of(self, config: Config) -> Config:
        """A run's config with this test: its test pipeline at another size, or a ``tta_pipeline`` over several.

        Raises:
            UserError: If its test pipeline does not resize to a width and a height.
        """
        dataset = (config.get('test_dataloader') or {}).get('dataset') or {}
        while 'dataset' in dataset:
            dataset = dataset.dataset
        pipeline = dataset.get('pipeline') or []
        place = next((i for i, step in enumerate(pipeline) if isinstance(step.get('scale'), (tuple, list))), None)
        if place is None:
            raise UserError(
                f'{config.filename} does not resize its test images to a width and a height: add a step '
                "dict(type='Resize', scale=(WIDTH, HEIGHT), keep_ratio=True) to its "
                'test_dataloader.dataset.pipeline.'
            )
        resize = pipeline[place]
        sizes = [dict(resize, scale=tuple(round(part * side) for side in resize.scale)) for part in self.parts]
        if len(sizes) == 1:
            dataset.pipeline = [*pipeline[:place], *sizes, *pipeline[place + 1 :]]
            return config
        pack = dict(pipeline[-1], meta_keys=META_KEYS)
        steps = [sizes, [dict(type='RandomFlip', prob=0.0)], *[[step] for step in pipeline[place + 1 : -1]], [pack]]
        config.tta_model = dict(
            type='DetTTAModel', tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100)
        )
        config.tta_pipeline = [*pipeline[:place], dict(type='TestTimeAug', transforms=steps)]
        return config


def run_test(
    name: str,
    config: Config,
    checkpoint: Path,
    work_dir: Path,
    flags: Sequence[str] = (),
    *,
    command: Sequence[str] = TEST_COMMAND,
    tick: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Test a checkpoint in a process of its own.

    Args:
        name: What is tested, for messages.
        config: The full config of the test.
        checkpoint: The checkpoint.
        work_dir: Where the config, the log and the metrics go; made if missing.
        flags: More arguments.
        command: The words before the arguments.
        tick: Called about once a second while it runs.

    Returns:
        Its metrics in percent, named as those of an evaluation in training.

    Raises:
        UserError: If the process fails, or leaves no metrics.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    path, log = work_dir / 'config.py', work_dir / 'trial.log'
    config.dump(path)
    before = set(work_dir.glob('*/*.json'))
    with Child([*command, str(path), str(checkpoint), '--work-dir', str(work_dir), *flags], log, {}) as child:
        while child.running():
            tick()
    child.check(f'the test {name}')
    fresh = set(work_dir.glob('*/*.json')) - before
    if len(fresh) != 1:
        raise UserError(f'the test {name} left no metrics in {work_dir}: see the end of {log}')
    return metrics_of(json.loads(fresh.pop().read_text()))


def metrics_of(logged: dict[str, Any]) -> dict[str, float | None]:
    """The metrics of a test's log in percent, by their short names.

    None stands for what could not be computed. Where nothing at all was detected, mmdet logs no metric: an AP of 0.
    """
    named = {METRICS[key.split('/')[-1]]: value for key, value in logged.items() if key.split('/')[-1] in METRICS}
    if not named:
        return {'AP': 0.0, 'AP50': 0.0}
    return {name: None if value < 0 else round(100 * value, 2) for name, value in named.items()}
