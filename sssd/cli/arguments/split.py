"""What ``sssd split`` takes."""

import argparse

HELP = 'split a COCO data set into labelled and unlabelled images'
DESCRIPTION = 'Split a COCO annotation file into labelled and unlabelled parts, the same ones on every machine.'
NEEDS_STACK = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument('ann_file', help='COCO annotation file')
    parser.add_argument(
        '--percent',
        type=float,
        nargs='+',
        default=[],
        metavar='P',
        help='labelled share(s) in percent, such as 1 2 5 10',
    )
    parser.add_argument(
        '--count', type=int, nargs='+', default=[], metavar='N', help='labelled share(s) as numbers of images'
    )
    parser.add_argument('--folds', type=int, default=5, help='default: %(default)s')
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    parser.add_argument('--out-dir', help='default: the folder of ann_file')
    parser.add_argument('--keep-annotations', action='store_true', help='leave the annotations in the unlabelled files')
