"""What ``sssd predict`` takes."""

import argparse

from sssd.cli.arguments._shared import EXPORTED, add_checkpoint_arguments, add_device

HELP = 'detect objects in images, as labels that CVAT and Label Studio take'
DESCRIPTION = (
    'Detect objects in images and write them as labels: COCO, YOLO, Pascal VOC, or tasks of Label Studio. Images stay '
    'as and where they are.'
)
FORMS = ('coco', 'yolo', 'voc', 'labelstudio')
LOCAL_FILES = '/data/local-files/?d='


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument('model', help='folder that `sssd export` wrote, or a config together with --checkpoint')
    parser.add_argument('images', nargs='+', help='image files, or folders of them')
    parser.add_argument('--checkpoint', help='checkpoint, where the model is a config')
    parser.add_argument(
        '--part',
        choices=EXPORTED,
        default=EXPORTED[0],
        help='of the checkpoint (default: of a pair the better one by the validation that the run logged, else the one '
        'detector)',
    )
    parser.add_argument('--to', choices=FORMS, default='coco', help='form of the labels (default: %(default)s)')
    parser.add_argument(
        '--threshold',
        action='append',
        metavar='SCORE',
        help='least score of a box (default: 0.3); NAME=SCORE for a class; auto: each class by the validation; may be '
        'given several times',
    )
    parser.add_argument(
        '--validation',
        metavar='LABELS',
        help='labelled images for --threshold auto: COCO, YOLO, VOC, LabelMe or CSV (default: the validation of the '
        'training)',
    )
    parser.add_argument('--validation-images', metavar='DIR', help='their folder, where the labels do not tell it')
    parser.add_argument('--draw', action='store_true', help='also write the images with their boxes, into OUT/drawn')
    parser.add_argument('--out', default='predictions', help='folder to write, new or empty (default: %(default)s)')
    parser.add_argument('--batch-size', type=int, default=1, help='images at a time (default: %(default)s)')
    parser.add_argument(
        '--image-url',
        default=LOCAL_FILES,
        metavar='PREFIX',
        help="Label Studio: what stands before an image's name in its address (default: %(default)s, files below its "
        'LOCAL_FILES_DOCUMENT_ROOT)',
    )
    add_device(parser)
    add_checkpoint_arguments(parser)
