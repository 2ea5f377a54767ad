"""The test part of a study: once a run is trained, each of its models is tested there.

The specification's ``test = dict(ann_file=..., img_prefix=...)`` names it. Validation goes on while training, on what
the configs say; the best checkpoint is that of the best validation. So a run of student and teacher is tested four
times. :mod:`sssd.studies.intervals` computes from the detections what a study tells.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from mmengine.config import Config

from sssd.checkpoints.files import checkpoint_files, number_of
from sssd.checks.data import check_data
from sssd.data.image_folder import list_images
from sssd.datasets.json_io import read_coco
from sssd.errors import UserError
from sssd.report.final_tables import TEST
from sssd.report.scalars import SINGLE_MODEL
from sssd.studies.contents import digest, leaves, same
from sssd.studies.job import Job
from sssd.studies.own.data import real_paths
from sssd.studies.spec import load_config

FOLDER = 'final_test'


@dataclass(frozen=True)
class FinalTest:
    """Tests a run's student and teacher, or its one model, at the last and at the best checkpoint.

    Attributes:
        ann_file: COCO file of the test part.
        img_prefix: Folder of its images.
        resamples: Draws of its images for the intervals.
        seed: Seed of the draws.
    """

    ann_file: str
    img_prefix: str
    resamples: int = 1000
    seed: int = 0
    #: Under which name an entry has the result, among its trials.
    name: ClassVar[str] = TEST

    @property
    def hash(self) -> str:
        """Fingerprint of where that lies on which a run is tested."""
        return hashlib.sha256(json.dumps([self.ann_file, self.img_prefix]).encode()).hexdigest()[:16]

    def is_in(self, entry: Mapping) -> bool:
        """Whether an entry of a results file has this test, by the annotation file as it is now."""
        found = entry.get('trials', {}).get(self.name, {})
        return found.get('hash') == self.hash and same(found.get('content'), digest([self.ann_file]))

    def check(self, config: Config) -> None:
        """Refuse, before it trains, a config that trains or validates with images of the test part or cannot test.

        Raises:
            UserError: Naming one of the images, or what the config lacks, or all mistakes in the data of the test part.
        """
        held_out = set(_listed(self.ann_file, self.img_prefix))
        for part in ('train', 'val'):
            loader = config.get(f'{part}_dataloader') or {}
            for dataset in leaves(loader.get('dataset') or {}):
                shared = sorted(held_out.intersection(_images_of(dataset)))
                if shared:
                    raise UserError(
                        f'{len(shared)} of the test images are in the {part}_dataloader of {config.filename} too, such '
                        f'as {shared[0]}: keep the test part of a study out of what is trained with and chosen by.'
                    )
        try:
            check_data(self.config_of(config, SINGLE_MODEL, Path(FOLDER)), ('test',))
        except UserError as error:
            raise UserError(f'the test part of the study, as {config.filename} would test on it: {error}') from error

    def config_of(self, config: Config, role: str, prefix: Path) -> Config:
        """A run's config that tests one of its models and writes the detections to ``prefix.bbox.json``.

        Raises:
            UserError: If the config has no COCO data set to test on.
        """
        dataset = next(leaves((config.get('test_dataloader') or {}).get('dataset') or {}), {})
        if not dataset or 'VOC' in str(dataset.get('type')):
            raise UserError(
                f'{config.filename} has no test_dataloader with a CocoDataset, into which the test part of the study '
                'could be put: give it one.'
            )
        dataset.pop('indices', None)
        dataset.update(data_root='', ann_file=self.ann_file, data_prefix=dict(img=self.img_prefix), test_mode=True)
        config.test_evaluator = dict(
            type='sssd.CocoMetric', ann_file=self.ann_file, metric='bbox', outfile_prefix=str(prefix)
        )
        if role != SINGLE_MODEL:
            config.model.semi_test_cfg = {**(config.model.get('semi_test_cfg') or {}), 'predict_on': role}
        return config

    def run(self, job: Job, test: Callable[..., dict[str, Any]]) -> dict[str, Any]:
        """Test a finished run, each model in a process of its own; checkpoints that are neither best nor last go.

        Args:
            job: The run.
            test: Tests a checkpoint: :func:`~sssd.studies.testing.run_test`'s arguments after the first two.

        Returns:
            ``models``: role -> ``'last'`` and ``'best'`` -> metrics in percent with the iteration and, relative to the
            run's work directory, the file of its detections.

        Raises:
            UserError: If a checkpoint is gone, or a test fails.
        """
        checkpoints = {number_of(path): path for path in checkpoint_files(job.work_dir)}
        models: dict[str, dict] = {}
        for role, rows in job.evaluations().items():
            steps = dict(last=max(checkpoints, default=0), best=best_of(rows))
            models[role] = {}
            for which, step in steps.items():
                if step not in checkpoints:
                    raise UserError(
                        f'{job.work_dir} has no checkpoint iter_{step}.pth, the {which} one of {job.title}: move the '
                        'folder away, so that the run is trained again.'
                    )
                if which == 'best' and step == steps['last']:
                    models[role][which] = models[role]['last']
                    continue
                prefix = job.work_dir / FOLDER / f'{role}_{which}'
                config = self.config_of(load_config(job.run, job.seed), role, prefix)
                name = f'of the {which} {role} of {job.title}'
                metrics = test(name, config, checkpoints[step], prefix)
                metrics.update(iter=step, predictions=f'{FOLDER}/{prefix.name}.bbox.json')
                models[role][which] = metrics
        keep = {found['iter'] for by_checkpoint in models.values() for found in by_checkpoint.values()}
        for step in set(checkpoints) - keep:
            checkpoints[step].unlink()
        content = digest([self.ann_file])
        return {
            'hash': self.hash,
            'content': content,
            'classes': _classes(load_config(job.run, job.seed)),
            'models': models,
        }


def best_of(rows: Sequence[Mapping]) -> int:
    """The iteration of the best AP among evaluations, the first of equal ones."""
    return max(rows, key=lambda row: (-1.0 if row.get('AP') is None else row['AP'], -row['iter']))['iter']


def _classes(config: Config) -> list[str] | None:
    """Names of the classes that a config is tested on; None where it does not name them."""
    dataset = next(leaves(config.test_dataloader.dataset))
    classes = (dataset.get('metainfo') or {}).get('classes')
    return None if classes is None else list(classes)


def _images_of(dataset: dict) -> list[str]:
    """Real paths of the images of a COCO data set or of a folder; none of other kinds, which are not looked into."""
    root, ann_file = dataset.get('data_root') or '', dataset.get('ann_file') or ''
    folder = os.path.join(root, (dataset.get('data_prefix') or {}).get('img', ''))
    if str(dataset.get('type')).endswith('ImageFolder'):
        return [os.path.realpath(path) for path in list_images(folder)]
    return _listed(os.path.join(root, ann_file), folder) if ann_file.endswith('.json') else []


def _listed(ann_file: str, folder: str) -> list[str]:
    """Real paths of the images that a COCO file lists."""
    return real_paths(read_coco(ann_file, annotations=False)['images'], folder)
