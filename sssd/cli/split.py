"""Command: split labels of any form into labelled and unlabelled parts, or into training and validation."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sssd.cli._parser import parse
from sssd.datasets.coco import images_told
from sssd.datasets.forms import saying_where
from sssd.datasets.json_io import read_coco, write_new_json
from sssd.datasets.labels import Labels, read_labels
from sssd.datasets.splits import make_splits, refuse_strays
from sssd.datasets.stratified import split_validation
from sssd.errors import UserError


def main(argv: Sequence[str] | None = None) -> None:
    """Write the splits and print their names."""
    args = parse('split', argv)
    if args.val is None and not (args.percent or args.count):
        raise UserError(
            'no amount of labelled images was given: name one with --percent or --count, or a validation part by --val.'
        )
    labels, stem = labels_of(args), stem_of(Path(args.ann_file))
    out = args.out_dir
    if args.val is not None:
        out = out or Path(args.ann_file).parent
        labels = hold_out(labels, Path(out), stem, args.val, args.seed)
    elif labels is not None and labels.file is None:
        labels = written(labels, Path(out) / f'{stem}.json')
    if args.val is not None and not (args.percent or args.count):
        return
    parts = make_splits(
        args.ann_file if labels is None else labels.file,
        out,
        percents=args.percent,
        counts=args.count,
        folds=args.folds,
        seed=args.seed,
        keep_annotations=args.keep_annotations,
        images=None if labels is None else labels.images,
    )
    for labeled, unlabeled in parts:
        print(labeled)
        print(unlabeled)


def labels_of(args: argparse.Namespace) -> Labels | None:
    """What is to be split; None for a COCO file that is split as it is, which needs no images.

    Raises:
        UserError: If it is of no known form, or is not COCO and there is no folder to write to, or none of images.
    """
    path = Path(args.ann_file)
    if args.images is not None and not os.path.isdir(args.images):
        raise UserError(f'--images {args.images} is no folder: name the folder of the images.')
    if path.suffix.lower() == '.json' or not path.exists():
        if args.val is None and args.images is None:
            return None
        coco = read_coco(path)
        return Labels(coco, args.images or images_told(coco, path) or '', 'COCO', str(path), str(path))
    labels = read_labels(path, args.images)
    if args.out_dir is None and labels.file is None:
        raise UserError(f'{path} is to be written as COCO files: say where with --out-dir.')
    print(f'{labels.source}: {labels.form}, images in {labels.images}', file=sys.stderr)
    for note in labels.notes:
        print(f'note: {note}', file=sys.stderr)
    return labels


def stem_of(path: Path) -> str:
    """What the files are called that are made: like the file, or the folder, that is split."""
    return path.stem if path.is_file() else path.resolve().name


def hold_out(labels: Labels, out: Path, stem: str, share: float, seed: int) -> Labels:
    """Write a validation part and the rest, and print their names; returns the rest."""
    refuse_strays(labels.source, labels.coco)
    try:
        train, val = split_validation(labels.coco, share, seed)
    except UserError as error:
        raise UserError(f'{labels.source} cannot be split: {error}') from error
    paths = out / f'{stem}-train.json', out / f'{stem}-val.json'
    write({path: replace(labels, coco=coco) for path, coco in zip(paths, (train, val))})
    return replace(labels, coco=train, file=str(paths[0]))


def written(labels: Labels, path: Path) -> Labels:
    """Write labels as a COCO file, and print its name."""
    write({path: labels})
    return replace(labels, file=str(path))


def write(files: Mapping[Path, Labels]) -> None:
    """Write labels as COCO files that say where their images are, if that is known, and print their names.

    Raises:
        UserError: If one is there with another content; then none is written.
    """
    write_new_json(
        {
            path: saying_where(labels.coco, labels.images, path) if labels.images else labels.coco
            for path, labels in files.items()
        }
    )
    for path in files:
        print(path)
