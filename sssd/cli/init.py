"""Command: write configs for one's own labelled and unlabelled images."""

import argparse
import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from sssd.checks.data import check_data
from sssd.checks.weights import missing_weights, named_weights
from sssd.cli._building import unknown_names_explained
from sssd.cli._config import config_of
from sssd.cli._own import (
    Unlabeled,
    everything_of,
    file_of,
    files_read,
    have_masks,
    labels_of,
    refuse_unused,
    unlabeled_of,
)
from sssd.cli._parser import parse
from sssd.datasets.coco import images_told
from sssd.datasets.json_io import read_coco, write_whole, writing
from sssd.datasets.labels import Labels
from sssd.errors import UserError, first_line
from sssd.studies.own.configs import own_configs, runs_of, study_command
from sssd.studies.own.data import OwnData, boxes_by_class, left_out
from sssd.studies.own.detector import OwnDetector, built, own_detector
from sssd.studies.own.names import FIRST, SMALL, read_detector
from sssd.studies.own.optimizer import make_training
from sssd.studies.own.plan import Plan, Statistics, make_plan, statistics_of
from sssd.studies.own.trial import hours, shrunk, try_steps
from sssd.studies.own.weights import fetched_features, set_weights

#: Where what is made of labels in other forms goes, below the folder of the configs.
DATA = 'data'
#: Hours of a first look, and iterations below which there is nothing to look at.
LOOK, FEWEST = 0.5, 30
#: The detector of each preset, if none is named.
USUAL = dict(paper='faster-rcnn_r50', small='faster_rcnn')


def main(argv: Sequence[str] | None = None) -> int:
    """Check, choose, write, try, and say how to go on; returns the exit status."""
    args = parse('init', argv)
    for name, least in dict(iters=1, batch=1, gpus=1, image_size=32).items():
        value = getattr(args, name)
        if value is not None and value < least:
            raise UserError(f'--{name.replace("_", "-")} is {value}, but must be at least {least}.')
    refuse_unused(args)
    folder = Path(args.folder)
    refuse_existing([str(folder / 'sed.py')], args.overwrite)  # before weights are fetched
    labeled, val = labels_of(args)
    boxes = boxes_by_class(labeled)
    unlabeled = unlabeled_of(args, labeled, val)
    everything = everything_of(args, labeled, val, unlabeled)
    texts, names = {}, [name['name'] for name in labeled.coco['categories']]
    data = files_of(folder, texts, names, labeled, val, unlabeled, everything)
    statistics = statistics_of(labeled.coco)
    masks = have_masks(labeled) and have_masks(val)
    own, plan, notes, pretrained = choose(args, statistics, len(boxes), masks, unlabeled.count)
    training = make_training(own, args.detector or USUAL[plan.preset], plan, plan.batch * args.gpus, pretrained)
    notes = [*notes, training.reason]
    configs = own_configs(data, tuple(boxes), folder, own, plan, training, notes, args.gpus, pretrained)
    texts.update((str(folder / name), text) for name, text in configs.items())
    parts = [labeled, val, *([everything] if everything else [])]
    refuse_read(texts, files_read(args, parts), folder)
    refuse_existing(texts, args.overwrite)
    refuse_foreign(path for path in texts if path.endswith('.json'))
    print('labelled boxes:', ', '.join(f'{name} {count}' for name, count in boxes.items()))
    for sentence in left_out(names, boxes):
        print(f'note: {sentence}')
    for labels in parts:
        print(f'{labels.source}: {labels.form}, images in {labels.images}')
        for note in labels.notes:
            print(f'note: {note}')
    for note in unlabeled.notes:
        print(f'note: {note}')
    for note in notes:
        print(f'chosen: {note}')
    for sentence in own.warnings:
        print(f'warning: {sentence}')
    sources = {data.labeled: labeled, data.val: val, data.everything: everything}
    for line in write_checked(folder, texts, lambda: tried(args, folder, data, plan.preset), sources):
        print(line)
    config = str(folder / 'sed.py')
    for sentence in missing_weights(config_of(config), config):
        print(f'note: {sentence}')
    print(next_steps(folder, args.gpus, everything is not None))
    return 0


def refuse_existing(paths: Iterable[str], overwrite: bool) -> None:
    """Refuse to write over files, unless that is wanted."""
    there = [path for path in paths if os.path.exists(path)]
    if there and not overwrite:
        exist, them = ('exist', 'them') if len(there) > 1 else ('exists', 'it')
        raise UserError(f'{", ".join(there)} {exist}: name another folder, or replace {them} with --overwrite.')


def refuse_read(paths: Iterable[str], read: Sequence[str], folder: Path) -> None:
    """Refuse to write over files that were read, whether that is wanted or not: what is made of them is less.

    Args:
        paths: What is to be written.
        read: What was read.
        folder: That of the configs, for the sentence.

    Raises:
        UserError: Naming the first one.
    """
    for path in filter(os.path.exists, paths):
        for source in read:
            if os.path.samefile(path, source):
                which = path if os.path.normpath(path) == os.path.normpath(source) else f'{source}, which is {path},'
                raise UserError(
                    f'{which} is read here, and would be replaced by what is made of it: name another folder than '
                    f'{folder} for the configs.'
                )


def refuse_foreign(paths: Iterable[str]) -> None:
    """Refuse to write over labels that do not say where their images are, as all do that are written here.

    Raises:
        UserError: Naming the first one.
    """
    for path in filter(os.path.exists, paths):
        try:
            ours = images_told(read_coco(path, annotations=False), path) is not None
        except UserError:
            ours = False
        if not ours:
            raise UserError(
                f'{path} was not written by `sssd init`, and is not replaced: move it away, or name another folder.'
            )


def files_of(
    folder: Path,
    texts: dict,
    names: Sequence[str],
    labeled: Labels,
    val: Labels,
    unlabeled: Unlabeled,
    everything: Labels | None,
) -> OwnData:
    """Where all images and labels are; what has to be written for that is put into ``texts``."""
    files = [
        file_of(part, folder / DATA / f'{name}.json', texts, names) for part, name in ((labeled, 'train'), (val, 'val'))
    ]
    names_file = ''
    if unlabeled.names is not None:
        path = folder / DATA / 'unlabeled.txt'
        texts[str(path)] = ''.join(f'{name}\n' for name in unlabeled.names)
        names_file = path.as_posix()
    all_file = file_of(everything, folder / DATA / 'all.json', texts, names) if everything else ''
    return OwnData(
        files[0],
        labeled.images,
        unlabeled.path,
        files[1],
        val.images,
        unlabeled.images,
        names_file,
        all_file,
        everything.images if everything else '',
    )


def choose(
    args: argparse.Namespace, statistics: Statistics, classes: int, masks: bool, unlabeled: int
) -> tuple[OwnDetector, Plan, list[str], bool]:
    """The detector, the plan, what was chosen in sentences, and whether the detector begins with weights."""
    preset, why = preset_of(args)
    plan = make_plan(preset, statistics, args.gpus, args.image_size, args.batch, args.iters, unlabeled)
    name = args.detector or USUAL[preset]
    small = preset == 'small' and name in SMALL
    features, said = fetched_features() if small and args.weights == 'auto' else (None, '')
    source = read_detector(name, small, features=features is not None or args.weights == 'imagenet')
    own = own_detector(source, classes, plan.least(statistics), masks, args.without_masks)
    weights = set_weights(own, args.weights)
    weights = said or weights
    built(own)
    pretrained = bool(named_weights(dict(model=own.config)))
    notes = [f'preset: {preset} ({why})', f'detector: {source.name}', weights.rstrip('.'), *plan.reasons]
    return own, plan, notes, pretrained


def preset_of(args: argparse.Namespace) -> tuple[str, str]:
    """The preset, and why."""
    if args.preset:
        return args.preset, 'as asked for'
    if args.detector in FIRST:
        return 'paper', f'{args.detector} is a detector of the paper'
    if torch.cuda.is_available() or args.gpus > 1:
        return 'paper', 'there are GPUs'
    return 'small', 'this machine has no GPU'


def tried(args: argparse.Namespace, folder: Path, data: OwnData, preset: str) -> list[str]:
    """What a few training steps took and how long all will take by that; whether they can be trained at all.

    Raises:
        UserError: If a step cannot be trained for a reason that is known.
    """
    if args.no_trial:
        return []
    names = {name: config_of(str(folder / file)) for name, file in runs_of(data).items()}
    sed, how = names['sed'], ''
    with unknown_names_explained(str(folder / 'sed.py')), failing_steps_explained():
        if preset == 'paper' and not torch.cuda.is_available():
            less, factor = shrunk(sed)
            trial, how = try_steps(less).times(factor), f' (tried on 1/{factor:g} of the pixels)'
        else:
            trial = try_steps(sed)
    told = hours(trial, sed, names)
    each = ', '.join(f'{name} {span(value)}' for name, value in told.items())
    lines = [
        f'tried: a step of sed.py takes {trial.step:.2f} s on {trial.where}{how}; one process loads its images in '
        f'{trial.loading:.2f} s',
        f'estimate: {span(sum(told.values()))} in all ({each}), without evaluations: by these steps and '
        'what the iterations of each cost beside them (sssd/studies/cost.py)',
    ]
    less = fewer_iterations(sum(told.values()), sed.train_cfg.get('max_iters'))
    if less:
        lines.append(
            f'note: for a first look, the same `init` with --iters {less} --overwrite trains half an hour in all; the '
            'detectors are then worse, and their difference says little'
        )
    return lines


def fewer_iterations(hours: float, iterations: int | None) -> int | None:
    """Iterations that take half an hour where ``iterations`` take more than two; None if none or hardly any do."""
    less = int(iterations * LOOK / hours) if iterations and hours > 4 * LOOK else 0
    return less if less >= FEWEST else None


@contextmanager
def failing_steps_explained() -> Iterator[None]:
    """Turn what goes wrong in a step that is tried into a sentence: it would in training, too.

    Raises:
        UserError: With the first line of what was said.
    """
    try:
        yield
    except UserError as error:
        raise UserError(f'training was tried, and cannot be: {error}') from error
    except Exception as error:  # of the detector's, whatever it is
        raise UserError(
            f'training was tried, and failed with {type(error).__name__} ({first_line(error)[:200]}): name another '
            'detector, other sizes (--image-size, --batch), or look at it with --no-trial and `sssd train`.'
        ) from error


def span(hours: float) -> str:
    """Hours as people say them."""
    return f'{hours:.1f} hours' if hours >= 1 else f'{max(60 * hours, 1):.0f} minutes'


def write_checked(
    folder: Path, texts: dict[str, str], more: Callable[[], Sequence[str]], sources: Mapping[str, Labels | None]
) -> Sequence[str]:
    """Write the files and check the data that they name; what a mistake is found in is not left behind.

    Args:
        folder: That of the configs.
        texts: What is to be written, by path.
        more: What else is to be done with them; lines to tell.
        sources: What the files among them that have labels were made of; named in their place where they do not stay.

    Returns:
        One line on each data set and each file.

    Raises:
        UserError: For all mistakes in the data.
    """
    paths = {Path(path): text for path, text in texts.items()}
    made = [place for place in (folder / DATA, folder) if not os.path.lexists(place)]
    before: dict[Path, bytes | None] = {}
    try:
        for path, text in paths.items():
            with writing(path):
                old = path.read_bytes() if path.exists() else None
            write_whole(path, text)
            before[path] = old
        told = []
        with told_by_source(sources):
            lines = check_data(config_of(str(folder / 'sed.py')), tell=told.append)
            for name in ('supervised.py', 'all.py'):
                if folder / name in paths:
                    check_data(config_of(str(folder / name)))
            told += more()
    except BaseException:
        put_back(before, made)
        raise
    return [*lines, *told, *(f'wrote {path}' for path in paths)]


def put_back(before: Mapping[Path, bytes | None], made: Sequence[Path]) -> None:
    """Have files as they were; those that were not there go, and so do the folders that were made for them."""
    for path, content in before.items():
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(content)
    for place in made:
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()


@contextmanager
def told_by_source(sources: Mapping[str, Labels | None]) -> Iterator[None]:
    """Have mistakes in files that were made of others, and do not stay, told by the names of those.

    Raises:
        UserError: For what is checked in the meantime.
    """
    try:
        yield
    except UserError as error:
        sentence = str(error)
        for path, labels in sources.items():
            if labels is not None and labels.file is None:
                sentence = sentence.replace(path, labels.source)
        raise UserError(sentence) from error


def next_steps(folder: Path, gpus: int, everything: bool) -> str:
    """The commands that come next."""
    train = ['python', '-m', 'sssd', 'train']
    if gpus > 1:
        train = ['torchrun', '--nproc_per_node', str(gpus), *train[1:]]
    launcher = ['--launcher', 'pytorch'] if gpus > 1 else []
    work_dir = f'work_dirs/{folder.resolve().name}'
    lines = [
        [*train, str(folder / f'{name}.py'), '--work-dir', f'{work_dir}_{name}', *launcher]
        for name in ('supervised', 'sed', *(['all'] if everything else []))
    ]
    how = 'all of them' if everything else 'both'
    study = study_command(folder, gpus)
    return '\n'.join(
        [
            f'next: {study}',
            f'trains {how}, and writes a table and a page; with --quick two iterations of each, to see that it works',
            'or one by one:',
            *(f'  {shlex.join(words)}' for words in lines),
        ]
    )
