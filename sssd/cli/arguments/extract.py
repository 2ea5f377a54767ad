"""What ``sssd extract`` takes."""

import argparse

from sssd.cli.arguments._shared import add_checkpoint_arguments

HELP = 'take the plain detector out of a checkpoint'
DESCRIPTION = 'Write the weights of one part of a checkpoint, for a plain detector.'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument('checkpoint', help='checkpoint of a student and a teacher, or of a guided detector')
    parser.add_argument('out', help='file to write')
    parser.add_argument(
        '--part',
        choices=['teacher', 'student', 'detector'],
        help='default: detector if the checkpoint is of a guided detector, else teacher; the label side is left out '
        'of each',
    )
    add_checkpoint_arguments(parser)
