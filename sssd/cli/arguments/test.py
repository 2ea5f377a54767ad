"""What ``sssd test`` takes: the arguments of mmdet's script."""

import argparse

from sssd.cli.arguments._shared import add_checkpoint_arguments, add_common_arguments

HELP = 'evaluate a checkpoint'
DESCRIPTION = 'Evaluate a checkpoint.'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', metavar='FILE.pkl', help='write the predictions into a pickle file')
    parser.add_argument('--show', action='store_true', help='show the predictions in a window')
    parser.add_argument('--show-dir', help='folder, under the work directory, for images with the predictions')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds each image is shown')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    add_common_arguments(parser)
    add_checkpoint_arguments(parser)
