"""Command: a data set under domain shift, as other cameras see it."""

import argparse
from collections.abc import Sequence

from sssd.datasets.cameras import CAMERAS
from sssd.datasets.recapture import recapture


def main(argv: Sequence[str] | None = None) -> None:
    """Write the data set and say where its annotation file is."""
    parser = argparse.ArgumentParser(
        prog='python -m sssd recapture',
        description='Write a COCO data set under domain shift: the same scenes and labels, every image by another '
        'camera. It shows how a detector bears that, and what unlabelled images are then worth.',
    )
    parser.add_argument('ann_file', help='COCO annotation file')
    parser.add_argument('img_dir', help='folder of its images')
    parser.add_argument('out_dir', help='folder to write to: images/ and the annotation file')
    parser.add_argument(
        '--camera',
        choices=tuple(CAMERAS),
        default='varied',
        help='varied: another poor one for every image; plain: one good camera (default: %(default)s)',
    )
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    args = parser.parse_args(argv)
    print(recapture(args.ann_file, args.img_dir, args.out_dir, args.camera, args.seed))
