"""Command: write configs for one's own labelled and unlabelled images."""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from sssd.checks.data import check_data, check_files
from sssd.checks.weights import missing_weights
from sssd.cli._config import config_of
from sssd.cli._parser import parse
from sssd.data.image_folder import list_images
from sssd.datasets.json_io import read_coco
from sssd.errors import UserError
from sssd.studies.own_data import OwnData, own_configs


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments of ``sssd init``."""
    return parse('init', argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Check, write, and say how to go on; returns the exit status."""
    args = parse_args(argv)
    for name in ('iters', 'batch', 'gpus'):
        if getattr(args, name) < 1:
            raise UserError(f'--{name} is {getattr(args, name)}, but must be at least 1.')
    folder, data = Path(args.folder), data_of(args)
    data.check_apart()
    boxes = data.boxes_by_class()
    texts = own_configs(data, tuple(boxes), folder, args.detector, args.iters, args.batch, args.gpus)
    there = [folder / name for name in texts if (folder / name).exists()]
    if there and not args.overwrite:
        raise UserError(f'{there[0]} exists: name another folder, or replace it with --overwrite.')
    print('labelled boxes:', ', '.join(f'{name} {count}' for name, count in boxes.items()))
    for line in write_checked(folder, texts):
        print(line)
    config = str(folder / 'sed.py')
    for sentence in missing_weights(config_of(config), config):
        print(f'note: {sentence}')
    print(next_steps(folder, args.gpus))
    return 0


def data_of(args: argparse.Namespace) -> OwnData:
    """The data that the arguments name, each looked for; folders that are not given are the labelled images'.

    Raises:
        UserError: Naming the argument that leads nowhere.
    """
    listed = Path(args.unlabeled).is_file()
    if args.unlabeled_images and not listed:
        raise UserError('--unlabeled-images goes with a COCO file, but --unlabeled names a folder: leave it out.')
    for name in ('labeled', 'val'):
        if not Path(getattr(args, name)).is_file():
            raise UserError(f'--{name} {getattr(args, name)} is no file: name the COCO file.')
    if not listed and not Path(args.unlabeled).is_dir():
        raise UserError(f'--unlabeled {args.unlabeled} is neither a folder nor a file: check the path.')
    if not listed and not list_images(args.unlabeled):
        raise UserError(f'--unlabeled {args.unlabeled} has no image in it: name the folder of the unlabelled images.')
    data = OwnData(
        args.labeled,
        args.labeled_images,
        args.unlabeled,
        args.val,
        args.val_images or args.labeled_images,
        (args.unlabeled_images or args.labeled_images) if listed else '',
    )
    check_images('--labeled-images', data.labeled_images, data.labeled)
    check_images('--val-images', data.val_images, data.val, args.val_images is None)
    if listed:
        check_images('--unlabeled-images', data.unlabeled_images, data.unlabeled, args.unlabeled_images is None)
    return data


def check_images(argument: str, folder: str, ann_file: str, defaulted: bool = False) -> None:
    """Refuse a folder without the images of an annotation file, by the name of its argument."""
    note = ', which is not given: that of --labeled-images was taken' if defaulted else ''
    names = [image['file_name'] for image in read_coco(ann_file, annotations=False)['images']]
    check_files(ann_file, folder, names, f'check {argument}{note}')


def write_checked(folder: Path, texts: dict) -> Sequence[str]:
    """Write the configs and check the data that they name; what a mistake is found in is not left behind.

    Returns:
        One line on each data set and each file.

    Raises:
        UserError: For all mistakes in the data.
    """
    before = {name: (folder / name).read_text('utf-8') for name in texts if (folder / name).exists()}
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f'{folder} cannot be made ({error}): name another folder.') from error
    try:
        for name, text in texts.items():
            (folder / name).write_text(text, 'utf-8')
        told = []
        lines = check_data(config_of(str(folder / 'sed.py')), tell=told.append)
        check_data(config_of(str(folder / 'supervised.py')))
    except BaseException:
        for name in texts:
            (folder / name).unlink(missing_ok=True)
            if name in before:
                (folder / name).write_text(before[name], 'utf-8')
        if made:
            folder.rmdir()
        raise
    return [*lines, *told, *(f'wrote {folder / name}' for name in texts)]


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
