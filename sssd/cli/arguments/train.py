"""What ``sssd train`` takes: the arguments of mmdet's script."""

import argparse

from sssd.cli.arguments._shared import LOGGERS, add_checkpoint_arguments, add_common_arguments

HELP = 'train a detector from a config'
DESCRIPTION = 'Train a detector.'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument('config', help='config file')
    parser.add_argument('--amp', action='store_true', help='mixed precision')
    parser.add_argument(
        '--amp-dtype',
        choices=['float16', 'bfloat16'],
        help='its type (default: float16 on GPUs, as in mmdet, and bfloat16 on CPUs); sets --amp',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the batch size, from auto_scale_lr.base_batch_size',
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from a checkpoint; without a value from the newest one in the work directory that can be read',
    )
    parser.add_argument(
        '--new-schedule',
        action='store_true',
        help="on --resume take the config's schedule of learning rates where it differs from the checkpoint's",
    )
    parser.add_argument(
        '--replace-broken',
        type=int,
        default=0,
        metavar='N',
        help='let each worker draw another image in place of up to N files that cannot be decoded, named in the log '
        '(default: stop at the first)',
    )
    parser.add_argument(
        '--logger',
        choices=LOGGERS,
        help='also log to TensorBoard, Weights & Biases or MLflow, in the same run again after --resume',
    )
    add_common_arguments(parser)
    add_checkpoint_arguments(parser)
