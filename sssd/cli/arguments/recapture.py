"""What ``sssd recapture`` takes."""

import argparse

from sssd.cli.arguments._shared import add_camera

HELP = 'write a data set as other cameras see it'
DESCRIPTION = (
    'Write a COCO data set under domain shift: the same scenes and labels, every image by another camera. It shows how '
    'a detector bears that, and what unlabelled images are then worth.'
)
NEEDS_STACK = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument('ann_file', help='COCO annotation file')
    parser.add_argument('img_dir', help='folder of its images')
    parser.add_argument('out_dir', help='folder to write to: images/ and the annotation file')
    add_camera(parser, 'varied', 'varied: another poor one for every image; plain: one good camera')
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
