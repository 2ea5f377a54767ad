"""What ``sssd init`` takes."""

import argparse

HELP = 'write configs for your own labelled and unlabelled images'
DESCRIPTION = (
    'Write configs for your own images: SED, its baseline on the labels alone, and a study that trains and compares '
    'both. The data are checked first; nothing is trained.'
)
DETECTORS = ('faster-rcnn_r50', 'retinanet_r50', 'retinanet_r18', 'fcos_r50')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument('folder', help='folder for the configs, such as configs/mine')
    parser.add_argument(
        '--labeled',
        required=True,
        metavar='PATH',
        help='labelled images: a COCO file, a data.yaml of YOLO, a folder of VOC XML files, or an export of '
        'Roboflow or CVAT; it is only read',
    )
    parser.add_argument('--labeled-images', metavar='DIR', help='their folder, where the labels do not tell it')
    parser.add_argument(
        '--unlabeled',
        required=True,
        metavar='DIR',
        help='folder of unlabelled images, sub-folders included; or a COCO file that lists them',
    )
    parser.add_argument(
        '--unlabeled-images',
        metavar='DIR',
        help='with a COCO file: the folder of its images (default: that of the labelled images)',
    )
    parser.add_argument(
        '--val',
        metavar='PATH|SHARE',
        help='labelled images to evaluate on, in any of these forms; or a share such as 0.2 of the labelled ones '
        '(default: the validation part of the labelled set, or 0.2 if it has none)',
    )
    parser.add_argument('--val-images', metavar='DIR', help='their folder, where the labels do not tell it')
    parser.add_argument('--seed', type=int, default=0, help='of the choice of that share (default: %(default)s)')
    parser.add_argument('--detector', choices=DETECTORS, default='faster-rcnn_r50', help='default: %(default)s')
    parser.add_argument('--iters', type=int, default=20000, help='iterations (default: %(default)s)')
    parser.add_argument(
        '--batch',
        type=int,
        default=2,
        metavar='N',
        help='labelled images of a GPU in one step, as many unlabelled ones come to them (default: %(default)s)',
    )
    parser.add_argument('--gpus', type=int, default=1, help='number of GPUs (default: %(default)s)')
    parser.add_argument('--overwrite', action='store_true', help='replace configs that are there')
