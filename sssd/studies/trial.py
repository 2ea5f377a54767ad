"""Testing a trained run at other image sizes, and with the ensemble of several (SED, Table 7)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config

from sssd.errors import UserError
from sssd.report.scalars import METRICS
from sssd.studies.spec import load_config

#: What mmdet's model for an ensemble asks of every view.
META_KEYS = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction')
#: That model: the detections of all views are joined by NMS at 0.5.
TTA_MODEL = dict(type='DetTTAModel', tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100))


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

    def is_in(self, entry: Mapping) -> bool:
        """Whether an entry of a results file has this test."""
        return self.name in entry.get('trials', {})

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
        config.tta_model = dict(TTA_MODEL)
        config.tta_pipeline = [*pipeline[:place], dict(type='TestTimeAug', transforms=steps)]
        return config

    def run(self, job, test: Callable[..., dict[str, Any]]) -> dict[str, Any]:
        """Test a finished run.

        Args:
            job: The run, a :class:`~sssd.studies.job.Job`.
            test: Tests a checkpoint: :func:`~sssd.studies.testing.run_test`'s arguments after the first two.

        Returns:
            Its metrics in percent, named as those of an evaluation in training.
        """
        config = self.config_of(load_config(job.run, job.seed))
        flags = ['--tta'] * (len(self.parts) > 1)
        return test(
            f'{self.name} of {job.title}', config, job.last_checkpoint(), job.work_dir / 'trials' / self.name, flags
        )


def metrics_of(logged: dict[str, Any]) -> dict[str, float | None]:
    """The metrics of a test's log in percent, by their short names.

    None stands for what could not be computed. Where nothing at all was detected, mmdet logs no metric: an AP of 0.
    """
    named = {METRICS[key.split('/')[-1]]: value for key, value in logged.items() if key.split('/')[-1] in METRICS}
    if not named:
        return {'AP': 0.0, 'AP50': 0.0}
    return {name: None if value < 0 else round(100 * value, 2) for name, value in named.items()}
