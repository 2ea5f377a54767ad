"""What ``sssd split`` takes."""

import argparse

HELP = 'split a data set into labelled and unlabelled images, or training and validation'
DESCRIPTION = (
    'Split labels into labelled and unlabelled parts, or into training and validation with the same share of each '
    'class, the same ones on every machine. What is split stays as it is; the parts are COCO files.'
)
NEEDS_STACK = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument(
        'ann_file',
        metavar='labels',
        help='a COCO file, a data.yaml of YOLO, a folder of VOC XML, LabelMe JSON or labelImg YOLO files, a table '
        '(CSV), or an export of Roboflow or CVAT',
    )
    parser.add_argument('--images', metavar='DIR', help='folder of the images, where the labels do not tell it')
    parser.add_argument(
        '--val',
        type=float,
        metavar='SHARE',
        help='first take a validation part, such as 0.2 of the images, with this share of each class',
    )
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
    parser.add_argument('--out-dir', help='default: the folder of a COCO file; needed for other forms')
    parser.add_argument('--keep-annotations', action='store_true', help='leave the annotations in the unlabelled files')
