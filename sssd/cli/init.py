"""Command: write configs for one's own labelled and unlabelled images."""

import argparse
import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sssd.checks.data import check_data, check_files
from sssd.checks.weights import missing_weights
from sssd.cli._config import config_of
from sssd.cli._parser import parse
from sssd.data.image_folder import list_images
from sssd.datasets.forms import saying_where
from sssd.datasets.json_io import read_coco
from sssd.datasets.labels import Labels, aligned, own_validation, read_labels
from sssd.datasets.stratified import split_validation
from sssd.errors import UserError
from sssd.studies.own_data import OwnData, boxes_by_class, check_apart, own_configs, real_paths, unlabeled_paths

#: Where what is made of labels in other forms goes, below the folder of the configs.
DATA = 'data'
#: Of the labelled images, for validation, if there is no other.
DEFAULT_SHARE = 0.2


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments of ``sssd init``."""
    return parse('init', argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Check, write, and say how to go on; returns the exit status."""
    args = parse_args(argv)
    for name in ('iters', 'batch', 'gpus'):
        if getattr(args, name) < 1:
            raise UserError(f'--{name} is {getattr(args, name)}, but must be at least 1.')
    folder = Path(args.folder)
    labeled, val = labels_of(args)
    boxes = boxes_by_class(labeled)
    unlabeled_images = unlabeled_of(args, labeled)
    apart = {labeled.source: real_paths(labeled.coco['images'], labeled.images)}
    check_apart(val, {**apart, args.unlabeled: unlabeled_paths(args.unlabeled, unlabeled_images)})
    texts = {}
    labeled_file, val_file = (
        file_of(labels, folder / DATA / f'{part}.json', texts, [name['name'] for name in labeled.coco['categories']])
        for part, labels in (('train', labeled), ('val', val))
    )
    data = OwnData(labeled_file, labeled.images, args.unlabeled, val_file, val.images, unlabeled_images)
    configs = own_configs(data, tuple(boxes), folder, args.detector, args.iters, args.batch, args.gpus)
    texts.update((str(folder / name), text) for name, text in configs.items())
    there = [path for path in texts if os.path.exists(path)]
    if there and not args.overwrite:
        raise UserError(f'{there[0]} exists: name another folder, or replace it with --overwrite.')
    print('labelled boxes:', ', '.join(f'{name} {count}' for name, count in boxes.items()))
    for labels in (labeled, val):
        print(f'{labels.source}: {labels.form}, images in {labels.images}')
        for note in labels.notes:
            print(f'note: {note}')
    for line in write_checked(folder, texts):
        print(line)
    config = str(folder / 'sed.py')
    for sentence in missing_weights(config_of(config), config):
        print(f'note: {sentence}')
    print(next_steps(folder, args.gpus))
    return 0


def labels_of(args: argparse.Namespace) -> tuple[Labels, Labels]:
    """The labelled images to train with and those to evaluate on.

    The latter are those that ``--val`` names, else what the labelled set brings along, else a part of it.

    Raises:
        UserError: Naming the argument that leads nowhere, or what is wrong with the labels.
    """
    share = share_of(args.val)
    try:
        labeled = read_labels(args.labeled, args.labeled_images)
    except UserError as error:
        raise UserError(f'--labeled {error}') from error
    check_images('--labeled-images', labeled)
    if args.val is not None and share is None:
        try:
            val = read_val(args, labeled)
        except UserError as error:
            raise UserError(f'--val {error}') from error
        return labeled, val
    val = own_validation(args.labeled, args.labeled_images) if share is None else None
    if val is not None:
        check_images('--labeled-images', val)
        return labeled, val
    if args.val_images is not None:
        raise UserError('--val-images goes with a --val that names labels: leave it out.')
    share = DEFAULT_SHARE if share is None else share
    train, held_out = split_validation(labeled.coco, share, args.seed)
    note = (
        f'{len(held_out["images"])} of the {len(labeled.coco["images"])} labelled images are kept for validation, each '
        f'class with its share ({share:g}); --val names another set or share'
    )
    return (
        replace(labeled, coco=train, file=None),
        replace(labeled, coco=held_out, file=None, source=f'{labeled.source}, kept for validation', notes=(note,)),
    )


def share_of(val: str | None) -> float | None:
    """The number that stands in the place of a path, None if there is none."""
    try:
        return None if val is None or os.path.exists(val) else float(val)
    except ValueError:
        return None


def read_val(args: argparse.Namespace, labeled: Labels) -> Labels:
    """What ``--val`` names; images that are nowhere else are looked for in the folder of the labelled ones."""
    try:
        val = read_labels(args.val, args.val_images, 'val')
    except UserError:
        if args.val_images is not None or not os.path.isfile(args.val) or labeled.form != 'COCO':
            raise
        val = read_labels(args.val, labeled.images, 'val')
        check_images('--val-images', val, ', which is not given: that of the labelled images was taken')
    check_images('--val-images', val)
    return val


def unlabeled_of(args: argparse.Namespace, labeled: Labels) -> str:
    """The folder of the images that a COCO file ``--unlabeled`` lists; empty if it is a folder itself.

    Raises:
        UserError: If the arguments do not fit what they name.
    """
    listed = Path(args.unlabeled).is_file()
    if args.unlabeled_images and not listed:
        raise UserError('--unlabeled-images goes with a COCO file, but --unlabeled names a folder: leave it out.')
    if not listed and not Path(args.unlabeled).is_dir():
        raise UserError(f'--unlabeled {args.unlabeled} is neither a folder nor a file: check the path.')
    if not listed and not list_images(args.unlabeled):
        raise UserError(f'--unlabeled {args.unlabeled} has no image in it: name the folder of the unlabelled images.')
    if not listed:
        return ''
    folder = args.unlabeled_images or labeled.images
    names = [image['file_name'] for image in read_coco(args.unlabeled, annotations=False)['images']]
    note = '' if args.unlabeled_images else ', which is not given: that of the labelled images was taken'
    check_files(args.unlabeled, folder, names, f'check --unlabeled-images{note}')
    return folder


def check_images(argument: str, labels: Labels, note: str = '') -> None:
    """Refuse labels without their images, by the name of the argument that tells the folder."""
    names = [image['file_name'] for image in labels.coco['images']]
    check_files(labels.source, labels.images, names, f'check {argument}{note}')


def file_of(labels: Labels, path: Path, texts: dict, names: Sequence[str]) -> str:
    """The COCO file of labels: as it was given, else one more text to write, with the classes in one order for all."""
    if labels.file is not None:
        return labels.file
    texts[str(path)] = json.dumps(saying_where(aligned(labels, names), labels.images, path))
    return path.as_posix()


def write_checked(folder: Path, texts: dict[str, str]) -> Sequence[str]:
    """Write the files and check the data that they name; what a mistake is found in is not left behind.

    Args:
        folder: That of the configs.
        texts: What is to be written, by path.

    Returns:
        One line on each data set and each file.

    Raises:
        UserError: For all mistakes in the data.
    """
    paths = {Path(path): text for path, text in texts.items()}
    before = {path: path.read_bytes() for path in paths if path.exists()}
    made = [place for place in (folder / DATA, folder) if not place.exists()]
    try:
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f'{path.parent} cannot be made ({error}): name another folder.') from error
    try:
        for path, text in paths.items():
            path.write_text(text, 'utf-8')
        told = []
        lines = check_data(config_of(str(folder / 'sed.py')), tell=told.append)
        check_data(config_of(str(folder / 'supervised.py')))
    except BaseException:
        for path in paths:
            path.unlink(missing_ok=True)
            if path in before:
                path.write_bytes(before[path])
        for place in made:
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()
        raise
    return [*lines, *told, *(f'wrote {path}' for path in paths)]


def next_steps(folder: Path, gpus: int) -> str:
    """The commands that come next."""
    train = ['python', '-m', 'sssd', 'train']
    if gpus > 1:
        train = ['torchrun', '--nproc_per_node', str(gpus), *train[1:]]
    launcher = ['--launcher', 'pytorch'] if gpus > 1 else []
    work_dir = f'work_dirs/{folder.resolve().name}'
    lines = [
        [*train, str(folder / f'{name}.py'), '--work-dir', f'{work_dir}_{name}', *launcher]
        for name in ('supervised', 'sed')
    ]
    both = [f'or both, and a table: {shlex.join(["python", "-m", "sssd", "study", str(folder / "study.py")])}']
    return '\n'.join(['next:', *(f'  {shlex.join(words)}' for words in lines), *(both if gpus == 1 else [])])
