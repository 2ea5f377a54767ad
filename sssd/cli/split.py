"""Command: split a COCO annotation file into labelled and unlabelled parts."""

import argparse
from collections.abc import Sequence

from sssd.datasets.splits import make_splits


def main(argv: Sequence[str] | None = None) -> None:
    """Write the splits and print their names."""
    parser = argparse.ArgumentParser(
        prog='python -m sssd split',
        description='Split a COCO annotation file into labelled and unlabelled parts, the same ones on every machine.',
    )
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
    args = parser.parse_args(argv)
    written = make_splits(
        args.ann_file,
        args.out_dir,
        percents=args.percent,
        counts=args.count,
        folds=args.folds,
        seed=args.seed,
        keep_annotations=args.keep_annotations,
    )
    for labeled, unlabeled in written:
        print(labeled)
        print(unlabeled)
