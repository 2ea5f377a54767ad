"""What the arguments of `sssd init` name: labelled images, those to evaluate on, those without labels."""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sssd.checks.data import check_files
from sssd.data.image_folder import list_images, passed_over
from sssd.datasets.coco import with_option
from sssd.datasets.forms import AbsentError, names_in, near, saying_where
from sssd.datasets.json_io import read_coco
from sssd.datasets.labels import Labels, aligned, own_validation, parts_of, read_labels
from sssd.datasets.stratified import split_validation
from sssd.errors import UserError
from sssd.studies.own.data import check_apart, real_paths, unlabeled_paths
from sssd.studies.own.plan import with_boxes

#: Of the labelled images, for validation, if there is no other.
DEFAULT_SHARE = 0.2
#: How the source of that part ends.
KEPT = ', kept for validation'


@dataclass(frozen=True)
class Unlabeled:
    """Images without labels.

    Attributes:
        path: A folder, or a COCO file.
        images: The folder of the images that a COCO file lists; empty for a folder.
        names: Of the images of the folder that are taken; None for all.
        count: Number of the images.
        notes: What the user should know: a sentence each.
    """

    path: str
    images: str = ''
    names: tuple[str, ...] | None = None
    count: int = 0
    notes: tuple[str, ...] = ()


def labels_of(args: argparse.Namespace) -> tuple[Labels, Labels]:
    """The labelled images to train with and those to evaluate on.

    The latter are those that ``--val`` names, else what the labelled set brings along, else a part of it.

    Raises:
        UserError: Naming the argument that leads nowhere, or what is wrong with the labels.
    """
    share = share_of(args.val)
    with of_argument('--labeled', '--labeled-images'):
        labeled = read_labels(args.labeled, args.labeled_images)
    check_images('--labeled-images', labeled)
    if args.val is not None and share is None:
        with of_argument('--val', '--val-images'):
            return labeled, read_val(args, labeled)
    with of_argument('--labeled', '--labeled-images'):
        val = own_validation(args.labeled, args.labeled_images) if share is None else None
    if val is not None:
        check_images('--labeled-images', val)
        return labeled, val
    if args.val_images is not None:
        raise UserError('--val-images goes with a --val that names labels: leave it out.')
    share = DEFAULT_SHARE if share is None else share
    try:
        train, held_out = split_validation(labeled.coco, share, args.seed)
    except UserError as error:
        raise UserError(f'no part of --labeled {args.labeled} can be kept for validation (--val): {error}') from error
    note = (
        f'{len(held_out["images"])} of the {len(labeled.coco["images"])} labelled images are kept for validation, each '
        f'class with its share ({share:g}); --val names another set or share'
    )
    return (
        replace(labeled, coco=train, file=None),
        replace(labeled, coco=held_out, file=None, source=f'{labeled.source}{KEPT}', notes=(note,)),
    )


@contextmanager
def of_argument(argument: str, option: str) -> Iterator[None]:
    """Have a mistake in labels told by the argument that names them, and by that of the folder of their images.

    Raises:
        UserError: For what is read in the meantime.
    """
    try:
        yield
    except UserError as error:
        raise UserError(f'{argument} {with_option(error, option)}') from error


def refuse_unused(args: argparse.Namespace) -> None:
    """Refuse folders of images whose labels are not named.

    Raises:
        UserError: Naming the argument.
    """
    for images, labels in (('--unlabeled-images', '--unlabeled'), ('--all-images', '--all-labels')):
        given = [getattr(args, name.removeprefix('--').replace('-', '_')) is not None for name in (images, labels)]
        if given == [True, False]:
            raise UserError(f'{images} goes with {labels}, which is not given: leave it out, or add {labels}.')


def files_read(args: argparse.Namespace, parts: Sequence[Labels]) -> list[str]:
    """The files that the arguments name, and those that labels were read from."""
    named = (args.labeled, args.val, args.unlabeled, args.all_labels, args.detector, args.weights)
    sources = (part.source.removesuffix(KEPT) for part in parts)
    return [path for path in dict.fromkeys((*named, *sources)) if path is not None and os.path.isfile(path)]


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


def unlabeled_of(args: argparse.Namespace, labeled: Labels, val: Labels) -> Unlabeled:
    """The images without labels: those that ``--unlabeled`` names, else those beside the labelled ones.

    Raises:
        UserError: If the arguments do not fit what they name, or images are evaluated on and trained with.
    """
    apart = {labeled.source: real_paths(labeled.coco['images'], labeled.images)}
    if args.unlabeled is None:
        check_apart(val, apart)
        return beside(args, labeled, val)
    listed = Path(args.unlabeled).is_file()
    if listed and Path(args.unlabeled).suffix.lower() == '.txt':
        return named_by_text(args, labeled, val)
    if listed and Path(args.unlabeled).suffix.lower() != '.json':
        raise UserError(
            f'--unlabeled {args.unlabeled} is no folder of images, and neither a COCO file (.json) nor a text file '
            '(.txt) that names some: name one of these.'
        )
    if args.unlabeled_images and not listed:
        raise UserError(
            '--unlabeled-images goes with a file that names images, but --unlabeled names a folder: leave it out.'
        )
    if not listed and not Path(args.unlabeled).is_dir():
        raise UserError(f'--unlabeled {args.unlabeled} is neither a folder nor a file: check the path.')
    if not listed and not list_images(args.unlabeled):
        others = ', '.join(f'{kind}: {count}' for kind, count in passed_over(args.unlabeled).items())
        seen = f', but files that are passed over ({others}): convert or rename them, or' if others else ':'
        raise UserError(
            f'--unlabeled {args.unlabeled} has no image in it{seen} name the folder of the unlabelled images.'
        )
    images = listed_images(args, labeled) if listed else ''
    paths = unlabeled_paths(args.unlabeled, images)
    held_out = set(real_paths(val.coco['images'], val.images))
    if is_kept(val) and held_out.intersection(paths):  # which the user did not choose
        used = held_out.union(*apart.values())
        count = sum(path in used for path in paths)
        if count == len(paths):
            raise UserError(f'all images of --unlabeled {args.unlabeled} are labelled ones: name others.')
        if not listed:
            names = tuple(name for name, path in zip(relative(args.unlabeled), paths) if path not in used)
            note = (
                f'{count} of the images in {args.unlabeled} are labelled ones, and are left out of the unlabelled ones'
            )
            return Unlabeled(args.unlabeled, names=names, count=len(names), notes=(note,))
    check_apart(val, {**apart, args.unlabeled: paths})
    return Unlabeled(args.unlabeled, images, count=len(paths))


def named_by_text(args: argparse.Namespace, labeled: Labels, val: Labels) -> Unlabeled:
    """The images that a text file names, a path a line, seen from its folder, from here or from --unlabeled-images.

    Raises:
        UserError: If there are none, some are not there, have no folder in common, or are evaluated on.
    """
    source = Path(args.unlabeled)
    lines = list(dict.fromkeys(line.strip() for _, line in names_in(source)))
    places = [args.unlabeled_images] if args.unlabeled_images else [str(source.parent), '.']
    paths = [
        next((path for path in (os.path.join(place, line) for place in places) if os.path.isfile(path)), '')
        for line in lines
    ]
    absent = [line for line, path in zip(lines, paths) if not path]
    if absent or not lines:
        told = f'{len(absent)} of them are not there, such as {absent[0]}' if absent else 'so there are none'
        raise UserError(
            f'--unlabeled {source} names {len(lines)} images, a path a line, and {told}: correct the list, or name the '
            'folder that its paths begin in with --unlabeled-images.'
        )
    folder = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths])
    if folder == os.path.dirname(folder):
        raise UserError(f'--unlabeled {source} names images that have no folder in common: link them into one.')
    real = [os.path.realpath(path) for path in paths]
    held_out = set(real_paths(val.coco['images'], val.images)) if is_kept(val) else set()
    apart = {labeled.source: real_paths(labeled.coco['images'], labeled.images)}
    used = held_out.union(*apart.values()) if held_out.intersection(real) else set()
    check_apart(val, {**apart, args.unlabeled: [path for path in real if path not in used]})
    names = tuple(Path(os.path.relpath(path, folder)).as_posix() for path, own in zip(paths, real) if own not in used)
    if not names:
        raise UserError(f'all images of --unlabeled {source} are labelled ones: name others.')
    left = len(paths) - len(names)
    note = f'{left} of the images that {source} names are labelled ones, and are left out of the unlabelled ones'
    return Unlabeled(near(folder), names=names, count=len(names), notes=(note,) * bool(left))


def beside(args: argparse.Namespace, labeled: Labels, val: Labels) -> Unlabeled:
    """The images of the labelled ones' folder that nobody labelled.

    Raises:
        UserError: If there are none.
    """
    used = {path for part in (labeled, val) for path in real_paths(part.coco['images'], part.images)}
    used |= {path for name in ('val', 'test') for path in others_of(args, name)}
    folder = labeled.images
    paths = unlabeled_paths(folder, '')
    names = tuple(name for name, path in zip(relative(folder), paths) if path not in used)
    if not names:
        bare = sum(len(part.coco['images']) - len(with_boxes(part.coco)) for part in (labeled, val))
        few = f', {bare} of them without a box: take those that nobody labelled out of the file, or' if bare else ':'
        raise UserError(
            f'all {len(paths)} images in {folder} are named by the labels{few} name the folder of the unlabelled '
            'images with --unlabeled, or take labels away to see what they are worth (sssd split --percent).'
        )
    note = f'the {len(names)} of the {len(paths)} images in {folder} that have no labels are the unlabelled ones'
    return Unlabeled(folder, names=names, count=len(names), notes=(note,))


def others_of(args: argparse.Namespace, name: str) -> list[str]:
    """Real paths of the images of another part of the labelled set, if it is there: they are no unlabelled ones."""
    part = parts_of(args.labeled, args.labeled_images).get(name)
    try:
        labels = part() if part else None
    except AbsentError:
        return []
    return real_paths(labels.coco['images'], labels.images) if labels else []


def is_kept(val: Labels) -> bool:
    """Whether the images to evaluate on are a part of the labelled ones that was chosen here."""
    return val.source.endswith(KEPT)


def relative(folder: str) -> list[str]:
    """The images of a folder, as paths from it, in the order of :func:`list_images`."""
    return [os.path.relpath(path, folder) for path in list_images(folder)]


def everything_of(args: argparse.Namespace, labeled: Labels, val: Labels, unlabeled: Unlabeled) -> Labels | None:
    """All images with labels, to see what could be reached; None if nobody has them.

    They are what ``--all-labels`` names, without those that are evaluated on, or the labelled ones together with a COCO
    file ``--unlabeled`` that has labels after all.

    Raises:
        UserError: Naming what is wrong with the labels.
    """
    if args.all_labels is None:
        return labels_in_unlabeled(labeled, unlabeled)
    with of_argument('--all-labels', '--all-images'):
        labels = read_labels(args.all_labels, args.all_images)
    check_images('--all-images', labels)
    held_out = set(real_paths(val.coco['images'], val.images))
    paths = real_paths(labels.coco['images'], labels.images)
    kept = [image for image, path in zip(labels.coco['images'], paths) if path not in held_out]
    ids = {image['id'] for image in kept}
    things = [thing for thing in labels.coco['annotations'] if thing['image_id'] in ids]
    missing = {name['name'] for name in labeled.coco['categories']} - {
        name['name'] for name in labels.coco['categories']
    }
    if missing:
        raise UserError(
            f'--all-labels {labels.source} has no class {sorted(missing)[0]!r}: name labels of all classes.'
        )
    return replace(labels, coco=dict(labels.coco, images=kept, annotations=things), file=None)


def labels_in_unlabeled(labeled: Labels, unlabeled: Unlabeled) -> Labels | None:
    """The labelled images and the others of a COCO file of unlabelled ones, if those have boxes and lie there too."""
    if not unlabeled.images or os.path.realpath(unlabeled.images) != os.path.realpath(labeled.images):
        return None
    more = read_coco(unlabeled.path, annotations=False)
    names = {name['id']: name['name'] for name in more['categories']}
    ids = {name['name']: name['id'] for name in labeled.coco['categories']}
    known = set(real_paths(labeled.coco['images'], labeled.images))
    paths = real_paths(more['images'], unlabeled.images)
    others = {image['id']: image for image, path in zip(more['images'], paths) if path not in known}
    things = more.get('annotations') or []
    boxes = [thing for thing in things if thing['image_id'] in others and thing['category_id'] in names]
    if not boxes or not set(names.values()) <= set(ids):
        return None
    images = labeled.coco['images'] + [dict(image, id=f'more {image["id"]}') for image in others.values()]
    things = labeled.coco['annotations'] + [
        dict(thing, image_id=f'more {thing["image_id"]}', category_id=ids[names[thing['category_id']]])
        for thing in boxes
    ]
    new = {image['id']: number for number, image in enumerate(images, 1)}
    kept = [thing for thing in things if thing['image_id'] in new]  # of others the check of the files tells
    coco = dict(
        labeled.coco,
        images=[dict(image, id=new[image['id']]) for image in images],
        annotations=[dict(thing, id=n, image_id=new[thing['image_id']]) for n, thing in enumerate(kept, 1)],
    )
    return replace(labeled, coco=coco, file=None, source=f'{labeled.source} and {unlabeled.path}', notes=())


def listed_images(args: argparse.Namespace, labeled: Labels) -> str:
    """The folder of the images that a COCO file ``--unlabeled`` lists, all of which are there.

    Raises:
        UserError: If one is missing.
    """
    folder = args.unlabeled_images or labeled.images
    names = [image['file_name'] for image in read_coco(args.unlabeled, annotations=False)['images']]
    note = '' if args.unlabeled_images else ', which is not given: that of the labelled images was taken'
    check_files(args.unlabeled, folder, names, f'check --unlabeled-images{note}')
    return folder


def have_masks(labels: Labels) -> bool:
    """Whether every object has a mask."""
    return all(thing.get('segmentation') for thing in labels.coco['annotations'])


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
