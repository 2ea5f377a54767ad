"""Detect objects in images, and write them as labels for an editor."""

import argparse
import contextlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmdet.apis import DetInferencer

from sssd.checkpoints.loading import trusting
from sssd.cli._config import config_of, require_file
from sssd.cli._parser import parse
from sssd.cli._subject import check_numbers, with_device
from sssd.cli.arguments._shared import EXPORTED
from sssd.datasets.forms import several
from sssd.datasets.json_io import writing
from sssd.datasets.writers import check_form, write_labels
from sssd.deploy.export import export, refuse_full
from sssd.deploy.predict import Collected, detect, draw, images_of, load_exported, meta_of, root_of, version_of
from sssd.deploy.thresholds import AUTO, suggest, thresholds_of, validation_of
from sssd.errors import UserError
from sssd.listing import passed_over
from sssd.progress import tracked


def main(argv: Sequence[str] | None = None) -> int:
    """Write the labels; returns the exit status."""
    args = with_device(parse('predict', argv))
    check_arguments(args)
    paths = images_of(args.images)
    root = root_of(args.images, paths)
    tell_passed_over(args.images)
    with trusting(args.trust_checkpoint), config_told(), exported(args) as folder:
        inferencer, version = load_exported(folder, args.device), version_of(folder)
        args.thresholds = thresholds(inferencer, args, meta_of(folder))
    with writing(args.out):
        os.makedirs(args.out, exist_ok=True)  # before the work
        check_form(args.to, root, [os.path.relpath(path, root) for path in paths], args.out)
    coco, broken = collect(inferencer, paths, root, args)
    with writing(args.out):
        files = write_labels(args.to, coco, root, args.out, args.image_url, version)
    report(args, coco, broken, files)
    return 0


def check_arguments(args: argparse.Namespace) -> None:
    """Refuse arguments that cannot be meant.

    Raises:
        UserError: Naming the argument.
    """
    check_numbers(argparse.Namespace(batch_size=args.batch_size, device=args.device))  # `images` are files here
    if args.validation and AUTO not in (args.threshold or ()):
        raise UserError('--validation is what --threshold auto chooses on: add that, or leave --validation out.')
    if args.validation_images and not args.validation:
        raise UserError('--validation-images goes with --validation, which is not given: leave it out, or add that.')
    if os.path.isdir(args.model) and args.part != EXPORTED[0]:
        raise UserError(f'{args.model} is a folder with one detector: leave --part out, or name a config.')
    if os.path.isdir(args.model) and args.checkpoint:
        raise UserError(f'{args.model} is a folder with weights of its own: leave --checkpoint out, or name a config.')
    if not os.path.isdir(args.model) and not args.checkpoint:
        raise UserError(
            f'{args.model} is no folder that `sssd export` wrote: name one, or a config together with --checkpoint.'
        )
    out = Path(args.out).resolve()
    for place in args.images:
        if os.path.isdir(place) and out.is_relative_to(Path(place).resolve()):
            raise UserError(f'--out {args.out} lies in the folder of images {place}: name one outside of it.')
    refuse_full(args.out)


def tell_passed_over(places: Sequence[str]) -> None:
    """Say what else is in the folders, such as photos in a form that is not read."""
    for place in filter(os.path.isdir, places):
        others = ', '.join(f'{kind}: {count}' for kind, count in passed_over(place).items())
        if others:
            print(f'passed over in {place}, as no images that can be read: {others}', file=sys.stderr)


def thresholds(inferencer: DetInferencer, args: argparse.Namespace, meta: dict) -> list[float]:
    """The least score of each class; what ``auto`` chooses is told."""
    words, classes = list(args.threshold or ()), list(inferencer.model.dataset_meta['classes'])
    by_hand = [word for word in words if word != AUTO]
    chosen = thresholds_of(by_hand, classes)
    if AUTO not in words:
        return chosen
    labels = validation_of(meta.get('validation'), args.validation, args.validation_images)
    suggested, count = suggest(inferencer, labels, args.batch_size)
    left_out = len(labels.coco['images']) - count
    unread = f', {left_out} that cannot be read left out' if left_out else ''
    print(f'thresholds of the highest F1 on {several(count, "image")} of {labels.source}{unread}:')
    for place, (name, each) in enumerate(suggested.items()):
        said = 'no detection of an object there, the default'
        if each.precision is not None:
            chosen[place] = each.threshold
            said = f'precision {100 * each.precision:.0f} %, recall {100 * each.recall:.0f} %'
        if any(word.startswith(f'{name}=') for word in by_hand):
            chosen[place] = thresholds_of(by_hand, classes)[place]
            said = 'as was asked for'
        print(f'  {name} {chosen[place]} ({said})')
    return chosen


@contextlib.contextmanager
def config_told() -> Iterator[None]:
    """Have a mistake in a config told by the argument that names it here, where `sssd export` has ``--config``.

    Raises:
        UserError: For what is read in the meantime.
    """
    try:
        yield
    except UserError as error:
        raise UserError(re.sub(r'(with|by) --config\b', 'as the first argument', str(error))) from error


@contextlib.contextmanager
def exported(args: argparse.Namespace) -> Iterator[str]:
    """The folder of the detector, made for the moment where a config and a checkpoint are given."""
    if not args.checkpoint:
        yield args.model
        return
    require_file(args.checkpoint, 'checkpoint')
    cfg = config_of(args.model)
    with tempfile.TemporaryDirectory() as place:
        folder = os.path.join(place, Path(args.checkpoint).stem)
        with contextlib.redirect_stdout(io.StringIO()):
            choice = export(args.checkpoint, folder, cfg, args.part)
        print(f'took {choice.why}')
        yield folder


def collect(
    inferencer: DetInferencer, paths: Sequence[str], root: str, args: argparse.Namespace
) -> tuple[dict, list[str]]:
    """The content of a COCO file, and the images that were passed over, which are named at once."""
    collected = Collected(inferencer.model.dataset_meta['classes'], root, args.thresholds)
    broken = []
    for found in tracked(detect(inferencer, paths, args.batch_size), 'detecting', len(paths)):
        if found.sample is None:
            broken.append(found.path)
            print(f'passed over {found.path}: {found.trouble}', file=sys.stderr)
            continue
        collected.add(found.path, found.sample)
        if args.draw:
            with writing(drawn := Path(args.out, 'drawn', os.path.relpath(found.path, root))):
                draw(inferencer, found, drawn, args.thresholds)
    if len(broken) == len(paths):
        raise UserError(f'none of the {several(len(paths), "image")} could be read: check the files.')
    return collected.coco(), broken


def report(args: argparse.Namespace, coco: dict, broken: Sequence[str], files: Sequence[Path]) -> None:
    """Say what was written."""
    count = len(coco['annotations'])
    boxes = f'{count} box{"es" * (count != 1)}'
    with_boxes = len({thing['image_id'] for thing in coco['annotations']})
    same = len(set(args.thresholds)) == 1
    least = f'a score of {args.thresholds[0]} or more' if same else 'at least the score of their class'
    print(
        f'{several(len(coco["images"]), "image")}, {with_boxes} of them with {boxes} of {least}; '
        f'{several(len(broken), "image")} passed over'
    )
    print(f'wrote {", ".join(map(str, files))}')
    if args.draw:
        print(f'drew {args.out}/drawn')
    if args.to == 'labelstudio':
        print(f'labeling interface of the project (in {files[1]}):\n{files[1].read_text("utf-8").rstrip()}')
