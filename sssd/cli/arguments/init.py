"""What ``sssd init`` takes."""

import argparse

HELP = 'write configs for your own labelled and unlabelled images'
DESCRIPTION = (
    'Write configs for your own images: SED, its baseline on the labels alone, and a study that trains and compares '
    'both. The data are checked, what suits them and this machine is chosen and said, and a few training steps are '
    'tried; nothing of these is kept.'
)
PRESETS = ('paper', 'small')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument('folder', help='folder for the configs, such as configs/mine')
    _add_data(parser)
    _add_detector(parser)
    _add_training(parser)
    parser.add_argument('--overwrite', action='store_true', help='replace what an earlier `init` wrote there')


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--labeled',
        required=True,
        metavar='PATH',
        help='labelled images: a COCO file, a data.yaml of YOLO, a folder of VOC XML, LabelMe JSON or labelImg YOLO '
        'files, a table (CSV), or an export of Roboflow or CVAT; it is only read',
    )
    parser.add_argument('--labeled-images', metavar='DIR', help='their folder, where the labels do not tell it')
    parser.add_argument(
        '--unlabeled',
        metavar='DIR',
        help='folder of unlabelled images, sub-folders included; or a COCO file or a text file that lists them '
        '(default: the images beside the labelled ones that have no labels)',
    )
    parser.add_argument(
        '--unlabeled-images',
        metavar='DIR',
        help='with a file: the folder of its images (default: that of the labelled images; of a text file its own, or '
        'the present one)',
    )
    parser.add_argument(
        '--val',
        metavar='PATH|SHARE',
        help='labelled images to evaluate on, in any of these forms; or a share such as 0.2 of the labelled ones '
        '(default: the validation part of the labelled set, or 0.2 if it has none)',
    )
    parser.add_argument('--val-images', metavar='DIR', help='their folder, where the labels do not tell it')
    parser.add_argument('--seed', type=int, default=0, help='of the choice of that share (default: %(default)s)')
    parser.add_argument(
        '--all-labels',
        metavar='PATH',
        help='labels of the unlabelled images as well, in any of these forms, if somebody has them: for a run that '
        'shows what could be reached',
    )
    parser.add_argument('--all-images', metavar='DIR', help='their folder, where the labels do not tell it')


def _add_detector(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--preset',
        choices=PRESETS,
        help='paper: its detectors, images of 1333 pixels, SGD; small: detectors and images for a CPU or an evening, '
        'AdamW (default: paper where there is a GPU, with --gpus above 1, or for the four detectors with _r50 or _r18, '
        'else small)',
    )
    parser.add_argument(
        '--detector',
        metavar='NAME',
        help='a short name such as faster_rcnn, retinanet, fcos, atss, dino, yolox; a config of mmdet such as '
        'mmdet::gfl/gfl_r50_fpn_1x_coco.py; or a config file; docs/detectors.md lists those that were tried (default: '
        'faster-rcnn_r50, in the small preset faster_rcnn)',
    )
    parser.add_argument(
        '--without-masks', action='store_true', help='take mask heads off, and train the boxes of the detector alone'
    )
    parser.add_argument(
        '--weights',
        default='auto',
        metavar='auto|imagenet|none|FILE',
        help='what the backbone begins with: weights of ImageNet if this machine or the network has them, in any case, '
        'never; or those of a file (default: %(default)s)',
    )


def _add_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--image-size',
        type=int,
        metavar='N',
        help='longer side of the images in training, in pixels (default: by the sizes of the objects; paper: 1333)',
    )
    parser.add_argument('--iters', type=int, help='iterations (default: by the number of labelled images)')
    parser.add_argument(
        '--batch',
        type=int,
        metavar='N',
        help='labelled images of a GPU in one step, as many unlabelled ones come to them (default: 2, small: 4)',
    )
    parser.add_argument('--gpus', type=int, default=1, help='number of GPUs (default: %(default)s)')
    parser.add_argument(
        '--no-trial', action='store_true', help='train no steps to see that all works and how long it will take'
    )
