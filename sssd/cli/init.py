# Copyright (c) sssd contributors. Licensed under the Apache License 2.0.
"""Command: write configs for one's own labelled and unlabelled images."""
import argparse
from pathlib import Path
from typing import Optional, Sequence

from sssd.cli._config import config_of
from sssd.data.checks import check_data
from sssd.data.own_data import DETECTORS, OwnData, own_configs
from sssd.errors import UserError


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The arguments of ``python -m sssd init``."""
    parser = argparse.ArgumentParser(
        prog='python -m sssd init', description='Write configs for your own images: SED, its baseline on the labels '
        'alone, and a study that trains and compares both. The data are checked first; nothing is trained.')
    parser.add_argument('folder', help='folder for the configs, such as configs/mine')
    parser.add_argument('--labeled', required=True, metavar='JSON', help='COCO file of the labelled images')
    parser.add_argument('--labeled-images', required=True, metavar='DIR', help='their folder')
    parser.add_argument('--unlabeled', required=True, metavar='DIR',
                        help='folder of unlabelled images, sub-folders included; or a COCO file that lists them')
    parser.add_argument('--unlabeled-images', metavar='DIR', help='with a COCO file: the folder of its images '
                        '(default: that of the labelled images)')
    parser.add_argument('--val', required=True, metavar='JSON', help='COCO file of images to evaluate on')
    parser.add_argument('--val-images', metavar='DIR', help='their folder (default: that of the labelled images)')
    parser.add_argument('--detector', choices=DETECTORS, default='faster-rcnn_r50', help='default: %(default)s')
    parser.add_argument('--iters', type=int, default=20000, help='iterations (default: %(default)s)')
    parser.add_argument('--batch', type=int, default=2, metavar='N', help='labelled images of a GPU in one step, as '
                        'many unlabelled ones come to them (default: %(default)s)')
    parser.add_argument('--gpus', type=int, default=1, help='number of GPUs (default: %(default)s)')
    parser.add_argument('--overwrite', action='store_true', help='replace configs that are there')
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Check, write, and say how to go on; returns the exit status."""
    args = parse_args(argv)
    for name in ('iters', 'batch', 'gpus'):
        if getattr(args, name) < 1:
            raise UserError(f'--{name} is {getattr(args, name)}, but must be at least 1.')
    folder = Path(args.folder)
    data = data_of(args)
    data.check_apart()
    texts = own_configs(data, folder, args.detector, args.iters, args.batch, args.gpus)
    there = [folder / name for name in texts if (folder / name).exists()]
    if there and not args.overwrite:
        raise UserError(f'{there[0]} exists: name another folder, or replace it with --overwrite.')
    for line in write_checked(folder, texts):
        print(line)
    print(next_steps(folder, args.gpus))
    return 0


def data_of(args: argparse.Namespace) -> OwnData:
    """The data that the arguments name; an unlabelled COCO file has the labelled images' folder by default.

    Raises:
        UserError: If the unlabelled images are neither a folder nor a file, or have a folder that they need not.
    """
    listed = Path(args.unlabeled).is_file()
    if not listed and not Path(args.unlabeled).is_dir():
        raise UserError(f'--unlabeled {args.unlabeled} is neither a folder nor a file: check the path.')
    if args.unlabeled_images and not listed:
        raise UserError('--unlabeled-images goes with a COCO file, but --unlabeled names a folder: leave it out.')
    images = args.unlabeled_images or (args.labeled_images if listed else '')
    return OwnData(args.labeled, args.labeled_images, args.unlabeled, args.val, args.val_images or args.labeled_images,
                   images)


def write_checked(folder: Path, texts: dict) -> Sequence[str]:
    """Write the configs and check the data that they name; what a mistake is found in is not left behind.

    Returns:
        One line on each data set and each file.

    Raises:
        UserError: For the first mistake in the data.
    """
    before = {name: (folder / name).read_text() for name in texts if (folder / name).exists()}
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for name, text in texts.items():
            (folder / name).write_text(text)
        lines = check_data(config_of(str(folder / 'sed.py')))
        check_data(config_of(str(folder / 'supervised.py')))
    except UserError:
        for name in texts:
            (folder / name).unlink()
            if name in before:
                (folder / name).write_text(before[name])
        raise
    return [*lines, *(f'wrote {folder / name}' for name in texts)]


def next_steps(folder: Path, gpus: int) -> str:
    """The commands that come next."""
    train = 'python -m sssd train {}'
    if gpus > 1:
        train = f'torchrun --nproc_per_node {gpus} -m sssd train {{}} --launcher pytorch'
    return '\n'.join([
        'next:',
        *(f'  {train.format(folder / name)} --work-dir work_dirs/{folder.name}_{Path(name).stem}'
          for name in ('supervised.py', 'sed.py')),
        *([f'or both, and a table: python -m sssd study {folder / "study.py"}'] if gpus == 1 else [])])
