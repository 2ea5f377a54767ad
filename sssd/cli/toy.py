"""Command: make the embedded toy data set."""

import argparse
from collections.abc import Sequence

from sssd.datasets.cameras import CAMERAS
from sssd.datasets.toy import make_toy
from sssd.errors import run_cli


def main(argv: Sequence[str] | None = None) -> None:
    """Make the data set and say where it is."""
    parser = argparse.ArgumentParser(
        prog='python -m sssd toy', description='Make the toy data set (drawn here, nothing is downloaded).'
    )
    parser.add_argument('root', nargs='?', default='data/toy', help='folder (default: %(default)s)')
    parser.add_argument('--num-train', type=int, default=1000, help='default: %(default)s')
    parser.add_argument('--num-val', type=int, default=200, help='default: %(default)s')
    parser.add_argument('--num-labeled', type=int, default=100, help='default: %(default)s')
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    parser.add_argument(
        '--camera',
        choices=tuple(CAMERAS),
        default='plain',
        help='plain: one good camera; varied: another poor one for every image (default: %(default)s)',
    )
    parser.add_argument(
        '--labeled-below',
        type=float,
        default=1.0,
        metavar='SHARE',
        help='label only images with objects, all of them smaller than this share of the image, '
        'the square root of box area over image area (default: any image)',
    )
    args = parser.parse_args(argv)
    paths = make_toy(
        args.root,
        args.num_train,
        args.num_val,
        args.num_labeled,
        args.seed,
        camera=args.camera,
        labeled_below=args.labeled_below,
    )
    for name, path in paths.items():
        print(f'{name}: {path}')


if __name__ == '__main__':
    raise SystemExit(run_cli(main))
