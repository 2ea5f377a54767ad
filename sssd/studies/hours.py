"""How many hours of GPUs a study takes, told before it starts, and what that is reckoned from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mmengine.config import Config

from sssd.errors import UserError
from sssd.hardware.memory import image_size
from sssd.studies.cost import Forecast, end_of
from sssd.studies.job import Job
from sssd.studies.spec import load_config

#: Seconds that one GPU takes for one labelled image of such a size in training, for want of a measurement: 0.210 s an
#: iteration of 16 images on 8 NVIDIA V100, Faster R-CNN R50-FPN, in the table of detectron2's MODEL_ZOO.md.
PUBLISHED_SECONDS, PUBLISHED_SIZE = 0.210 * 8 / 16, (1333, 800)
PUBLISHED = (
    "the published 0.105 s of a V100 for a labelled image of 1333 x 800 (detectron2's Faster R-CNN R50-FPN), in "
    'proportion to the pixels; evaluations and tests are not in it; other GPUs and detectors differ by factors, so '
    'measure: a short run, then --image-seconds S'
)


@dataclass(frozen=True)
class Reckoning:
    """What the runs of a study will take.

    Attributes:
        jobs: The runs to do.
        seconds: Of each run; None where nothing is known.
        gpus: GPUs of a run; 0 where it has none.
        places: Runs at once.
        source: What it is reckoned from.
    """

    jobs: Sequence[Job]
    seconds: Sequence[float | None]
    gpus: int
    places: int
    source: str

    @property
    def sentence(self) -> str:
        """The sum, when it ends, and what both are reckoned from."""
        count = f'{len(self.jobs)} run{"s" * (len(self.jobs) != 1)}'
        on = f' on {self.gpus} GPU{"s" * (self.gpus > 1)} each' if self.gpus else ''
        if None in self.seconds:
            return f'{count}{on}; how long they take is not known: {self.source}'
        unit = 'GPU hours' if self.gpus else 'hours'
        hours = sum(self.seconds) * max(1, self.gpus) / 3600
        end = end_of([], self.seconds, self.places) / 3600
        return (
            f'{count}{on}: about {told(hours)} {unit}, done after {told(end)} hours with {self.places} '
            f'at once; reckoned from {self.source}'
        )

    def lines(self) -> list[tuple[str, str]]:
        """Of each run its title with its length, and its hours of GPUs."""
        return [
            (
                f'{job.title}, {job.extent.length} {"epochs" if job.extent.by_epoch else "iterations"}',
                self._hours(seconds),
            )
            for job, seconds in zip(self.jobs, self.seconds)
        ]

    def _hours(self, seconds: float | None) -> str:
        if seconds is None:
            return 'not known'
        return f'{told(seconds * max(1, self.gpus) / 3600)} {"GPU hours" if self.gpus else "hours"}'


def reckon(
    jobs: Sequence[Job], forecast: Forecast, gpus: int, places: int, image_seconds: float | None = None
) -> Reckoning:
    """Reckon what runs take.

    By a number of seconds for an image if one is given, else by what other runs took in the same study on such a
    machine, else, with GPUs, by a published number.

    Args:
        jobs: The runs to do, with as many processes as GPUs.
        forecast: What other runs took.
        gpus: GPUs of a run, 0 if it has none.
        places: Runs at once.
        image_seconds: Seconds for a labelled image in the training of a plain detector, on one GPU (or CPU).

    Raises:
        UserError: If ``image_seconds`` is not above 0.
    """
    if image_seconds is not None and not image_seconds > 0:
        raise UserError(f'--image-seconds is {image_seconds}, but has to be above 0.')

    def by_cost(rate: Callable[[Config], float]) -> list[float | None]:
        return [
            None if job.extent.by_epoch else sum(work.cost for work in job.works()) * rate(configs(job)) for job in jobs
        ]

    def configs(job: Job) -> Config:
        return load_config(job.run, job.seed)

    if image_seconds is not None:
        source = f'{image_seconds:g} s for a labelled image (--image-seconds); evaluations and tests are not in it'
        return Reckoning(jobs, by_cost(lambda config: image_seconds), gpus, places, source)
    measured = [[forecast.seconds(work) for work in job.works()] for job in jobs]
    if jobs and all(works and None not in works for works in measured):
        source = 'what runs of this study took on such a machine'
        return Reckoning(jobs, [sum(works) for works in measured], gpus, places, source)
    if gpus:
        return Reckoning(jobs, by_cost(published_seconds), gpus, places, PUBLISHED)
    source = 'nothing was measured on such a machine yet; --image-seconds S would tell'
    return Reckoning(jobs, [None] * len(jobs), gpus, places, source)


def published_seconds(config: Config) -> float:
    """Seconds for a labelled image of the size that a config trains at."""
    height, width = image_size(config)
    return PUBLISHED_SECONDS * width * height / (PUBLISHED_SIZE[0] * PUBLISHED_SIZE[1])


def told(hours: float) -> str:
    """Hours to two figures, as nobody knows them better."""
    if hours < 1:
        return f'{hours:.2f}'
    return f'{hours:.1f}' if hours < 10 else f'{float(f"{hours:.2g}"):.0f}'
