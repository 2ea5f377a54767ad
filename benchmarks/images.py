"""Weak and strong views of an unlabelled image: seconds of one worker, ours against mmdet's transforms.

sssd       the unlabelled pipeline of configs/_base_/datasets/coco_semi.py
mmdet      the same steps from mmdet and mmcv: MultiBranch, RandomFlip, Brightness, Contrast, Color, hue by
           PhotoMetricDistortion, RandomGrayscale, CutOut, PackDetInputs; the blur is ours, as they have none
distortion mmdet's PhotoMetricDistortion in the place of brightness, contrast, colour and hue

Every image is decoded once from a JPEG file of COCO's size. The weak views, of the same seeds, are compared to the last
bit before anything is timed; the strong ones have other random numbers.

    python benchmarks/images.py [--images 24]
"""

import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import _timing as timing
import cv2
import numpy as np
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor

from sssd.errors import run_cli

CONFIG = 'configs/_base_/datasets/coco_semi.py'
#: Those of ColorJitter in the config.
CHANGES = dict(prob=0.8, min_mag=0.6, max_mag=1.4)
HUE = dict(
    type='PhotoMetricDistortion', brightness_delta=0, contrast_range=(1, 1), saturation_range=(1, 1), hue_delta=18
)


def parse_args(argv: Sequence[str] | None = None):
    """The command line."""
    parser = timing.parser(__doc__, 'images')
    parser.add_argument('--images', type=int, default=24, help='in each repeat (default: %(default)s)')
    return parser.parse_args(argv)


def write_photos(folder: Path, count: int, seed: int) -> list[str]:
    """JPEG files of 640 x 480 with smooth shapes and some noise."""
    rng, paths = np.random.default_rng(seed), []
    for number in range(count):
        coarse = rng.integers(0, 256, (15, 20, 3), dtype=np.uint8)
        image = cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC) + rng.normal(0, 6, (480, 640, 3))
        paths.append(str(folder / f'{number}.jpg'))
        cv2.imwrite(paths[-1], image.clip(0, 255).astype(np.uint8))
    return paths


def plain(step: dict) -> dict:
    """mmdet's or mmcv's own form of a step of the config."""
    kind = step['type'].split('.')[-1]
    if kind == 'RandomGrayscale':
        return dict(
            type='mmcv.RandomGrayscale', prob=step['prob'], keep_channels=True, channel_weights=(0.114, 0.587, 0.299)
        )
    return dict(step, type=kind) if kind in ('RandomFlip', 'PackDetInputs') else dict(step)


def pipelines() -> dict[str, Compose]:
    """The three pipelines; Compose builds what they hold."""
    config = Config.fromfile(CONFIG)
    ours = config.unsup_pipeline
    geometry, branch = [plain(step) for step in ours[:-1]], ours[-1]
    strong = [plain(step) for step in branch.unsup_student if not step['type'].endswith('ColorJitter')]
    likes = dict(
        mmdet=[*(dict(type=kind, **CHANGES) for kind in ('Brightness', 'Contrast', 'Color')), HUE],
        distortion=[dict(type='PhotoMetricDistortion')],
    )
    weak = [plain(step) for step in branch.unsup_teacher]
    found = {
        name: [*geometry, dict(branch, unsup_teacher=weak, unsup_student=[*colours, *strong])]
        for name, colours in likes.items()
    }
    return {
        name: Compose(steps)
        for name, steps in dict(mmdet=found['mmdet'], distortion=found['distortion'], sssd=ours).items()
    }


def views(pipeline: Compose, paths: Sequence[str], seed: int) -> dict[str, Tensor]:
    """All images through a pipeline; the weak views are given back, by name."""
    weak = {}
    for number, path in enumerate(paths):
        random.seed(seed + number)
        np.random.seed(seed + number)
        packed = pipeline(dict(img_path=path, img_id=number, height=480, width=640))
        weak[str(number)] = packed['inputs']['unsup_teacher']
    return weak


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write."""
    args = parse_args(argv)
    cv2.setNumThreads(args.threads if args.threads > 1 else 0)
    init_default_scope('mmdet')
    count = 2 if args.quick else args.images
    with tempfile.TemporaryDirectory() as folder:
        paths = write_photos(Path(folder), count, args.seed)
        calls = {
            name: lambda pipeline=pipeline: views(pipeline, paths, args.seed) for name, pipeline in pipelines().items()
        }
        case = timing.Case('weak and strong view', calls, tolerance=0.0, facts=dict(images=count, size=[480, 640]))
        row = timing.measured(case, args)
    for kind in ('wall', 'cpu'):
        ours = row['calls']['sssd'][kind]
        row[f'{kind}_images_per_second'] = round(1000 * count / ours['median_ms'], 1)
        row[f'{kind}_speed_over'] = {
            name: round(call[kind]['over_baseline'] / ours['over_baseline'], 3) for name, call in row['calls'].items()
        }
    print(f'images a second over those of each by CPU time: {row["cpu_speed_over"]}')
    timing.write(args, 'images', [row], argv)
    return 0


if __name__ == '__main__':
    sys.exit(run_cli(main))
