"""Command: split a COCO annotation file into labelled and unlabelled parts."""

from collections.abc import Sequence

from sssd.cli._parser import parse
from sssd.datasets.splits import make_splits


def main(argv: Sequence[str] | None = None) -> None:
    """Write the splits and print their names."""
    args = parse('split', argv)
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
