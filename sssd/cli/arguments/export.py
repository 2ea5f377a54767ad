"""What ``sssd export`` takes."""

import argparse

from sssd.cli.arguments._shared import EXPORTED, add_checkpoint_arguments

HELP = 'write the detector of a checkpoint as a folder for plain mmdet'
DESCRIPTION = (
    'Write the better of teacher and student as a folder that plain mmdet takes: weights, config, model card, script.'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument(
        'checkpoint',
        help='checkpoint of a student and a teacher, of a guided or a plain detector; or the work directory of a run, '
        'for its newest one',
    )
    parser.add_argument('folder', help='folder to write, new or empty')
    parser.add_argument(
        '--config', help='config of the training (default: the one in the checkpoint, else the one beside it)'
    )
    parser.add_argument(
        '--part',
        choices=EXPORTED,
        default=EXPORTED[0],
        help='default: of a pair the better one by the validation that the run logged, else the one detector',
    )
    parser.add_argument(
        '--onnx',
        action='store_true',
        help='also write model.onnx and predict_onnx.py, and compare them with PyTorch (RetinaNet, FCOS, Faster R-CNN)',
    )
    parser.add_argument(
        '--images', nargs='+', help='images, or folders of them, that --onnx compares on (default: of the test data)'
    )
    add_checkpoint_arguments(parser)
