"""Command: a data set under domain shift, as other cameras see it."""

from collections.abc import Sequence

from sssd.cli._parser import parse
from sssd.datasets.recapture import recapture


def main(argv: Sequence[str] | None = None) -> None:
    """Write the data set and say where its annotation file is."""
    args = parse('recapture', argv)
    print(recapture(args.ann_file, args.img_dir, args.out_dir, args.camera, args.seed))
