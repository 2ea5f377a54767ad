"""A semi-supervised config over three small sets that have nothing in common, and ways to spoil them."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from sssd.checks.data import examine

PACK = dict(type='PackDetInputs')
BRANCHES = ['sup', 'unsup_teacher', 'unsup_student']


@dataclass
class Sets:
    """The sets and their config.

    Attributes:
        root: The folder of train/, unlabeled/ and val/.
        cfg: A config over them, without any mistake.
    """

    root: Path
    cfg: Config

    @property
    def train(self) -> dict:
        """The config of the labelled source."""
        return self.cfg.train_dataloader.dataset.datasets[0]

    @property
    def unlabelled(self) -> dict:
        """The config of the unlabelled source."""
        return self.cfg.train_dataloader.dataset.datasets[1]

    def file(self, part: str = 'train') -> Path:
        """The annotation file of a set."""
        return self.root / part / 'annotations.json'

    def images(self, part: str = 'train') -> Path:
        """The images of a set."""
        return self.root / part / 'images'

    def edit(self, change, part: str = 'train') -> None:
        """Change the content of an annotation file by a function."""
        content = json.loads(self.file(part).read_text())
        change(content)
        self.file(part).write_text(json.dumps(content))

    def findings(self, thorough: bool = True, parts=('train', 'val')) -> dict:
        """What is found, by its kind; of several of a kind the first."""
        self.run = examine(self.cfg, parts, thorough)
        return {finding.kind: finding for finding in reversed(self.run.findings.found)}


@pytest.fixture
def sets(tmp_path, make_tiny_coco):
    """Six labelled images with 12 boxes, four unlabelled ones, three to evaluate on."""
    for part, count, seed in (('train', 6, 0), ('unlabeled', 4, 1), ('val', 3, 2)):
        make_tiny_coco(tmp_path / part, num_images=count, seed=seed)
    (tmp_path / 'unlabeled/annotations.json').unlink()
    init_default_scope('mmdet')
    load, labels = dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)
    metainfo = dict(classes=('disc', 'bar'))
    labelled = dict(
        type='CocoDataset',
        data_root=f'{tmp_path}/train/',
        ann_file='annotations.json',
        data_prefix=dict(img='images/'),
        metainfo=metainfo,
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline=[load, labels, dict(type='MultiBranch', branch_field=BRANCHES, sup=PACK)],
    )
    unlabelled = dict(
        type='sssd.ImageFolder',
        metainfo=metainfo,
        data_prefix=dict(img=f'{tmp_path}/unlabeled/images/'),
        pipeline=[load, dict(type='MultiBranch', branch_field=BRANCHES, unsup_teacher=[PACK], unsup_student=[PACK])],
    )
    evaluated = dict(labelled, data_root=f'{tmp_path}/val/', test_mode=True, pipeline=[load, labels, PACK])
    cfg = dict(
        model=dict(),
        train_dataloader=dict(
            batch_size=2,
            sampler=dict(type='sssd.MixedSourceSampler', batch_size=2, source_ratio=[1, 1]),
            dataset=dict(type='ConcatDataset', datasets=[labelled, unlabelled]),
        ),
        val_dataloader=dict(batch_size=1, dataset=evaluated),
        val_evaluator=dict(type='CocoMetric', ann_file=f'{tmp_path}/val/annotations.json'),
    )
    return Sets(tmp_path, Config(cfg))
