"""Labelled and unlabelled parts of a COCO annotation file, in folds.

Images are ordered by the SHA-256 of ``"<seed>:<fold>:<image id>"`` and the first ones are
labelled. So a split is the same on every machine and with every version of Python and NumPy, and
for one seed and fold a smaller percentage is part of a larger one. Output names are those of
mmdet's semi-supervised configs: ``instances_train2017.1@10.json`` and
``instances_train2017.1@10-unlabeled.json``.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from sssd.datasets.coco import images_told
from sssd.datasets.forms import saying_where, several
from sssd.datasets.json_io import read_coco, refuse_others, write_new_json
from sssd.errors import UserError

_ORDER = 'sha256("<seed>:<fold>:<image id>")'
_Pair = tuple[Path, Path]


def hash_order(image_ids: Sequence, seed: int, fold: int) -> list:
    """``image_ids`` sorted by the SHA-256 of ``"<seed>:<fold>:<image id>"``."""
    return sorted(image_ids, key=lambda i: hashlib.sha256(f'{seed}:{fold}:{i}'.encode()).digest())


def make_splits(
    ann_file: str | Path,
    out_dir: str | Path | None = None,
    *,
    percents: Sequence[float] = (),
    counts: Sequence[int] = (),
    folds: int = 5,
    seed: int = 0,
    keep_annotations: bool = False,
    progress: bool = True,
    images: str | None = None,
) -> list[tuple[Path, Path]]:
    """Write a labelled and an unlabelled JSON for every amount and fold.

    No other file is replaced: those that hold the very parts already are left as they are.

    Args:
        ann_file: COCO annotation file to split.
        out_dir: Folder to write to; default is that of ``ann_file``.
        percents: Labelled shares in percent, above 0 and below 100.
        counts: Labelled shares as numbers of images (named ``.1@500images.json``).
        folds: Number of folds, named from 1 on.
        seed: Another seed gives other splits.
        keep_annotations: Leave the annotations in the unlabelled files (to measure the quality
            of pseudo-labels, say). Training must not use them.
        progress: Show a progress bar.
        images: Folder of the images, for the parts to tell it; None leaves that to what ``ann_file`` tells.

    Returns:
        (labelled file, unlabelled file) for every amount and fold.

    Raises:
        UserError: If the file is not COCO, an amount is out of range, a part would be empty, a
            labelled part would have no box, or a file of a part is there with another content;
            then none is written.
    """
    if not percents and not counts:
        raise UserError('no amount of labelled images was given; give percents or counts.')
    if folds < 1:
        raise UserError(f'folds={folds} must be at least 1.')
    ann_file = Path(ann_file)
    coco = read_coco(ann_file)
    _check_unique(ann_file, coco['images'])
    refuse_strays(ann_file, coco)
    total = len(coco['images'])
    amounts = [(f'{p:g}', _from_percent(p, total, ann_file)) for p in percents]
    amounts += [(f'{c}images', _check_count(c, total, ann_file)) for c in counts]
    out_dir = ann_file.parent if out_dir is None else Path(out_dir)
    images = images or images_told(coco, ann_file)
    if images is not None:
        coco = saying_where(coco, images, out_dir / ann_file.name)
    source = dict(file=ann_file.name, sha256=hashlib.sha256(ann_file.read_bytes()).hexdigest())
    splits = {
        _paths(out_dir, ann_file, fold, name): dict(source=source, seed=seed, fold=fold, num_labeled=count)
        for name, count in amounts
        for fold in range(1, folds + 1)
    }
    _write(splits, lambda paths: _parts(coco, splits[paths], ann_file, keep_annotations), progress)
    return list(splits)


def _write(splits: Iterable[_Pair], parts_of: Callable[[_Pair], Sequence[dict]], progress: bool) -> None:
    """Write what is not there, once it is seen that what is there is the same."""
    there = [paths for paths in splits if any(map(os.path.lexists, paths))]
    compared = _track(there, 'comparing splits', progress)
    refuse_others(file for paths in compared for file in zip(paths, parts_of(paths)))
    missing = [paths for paths in splits if not all(map(os.path.lexists, paths))]
    for paths in _track(missing, 'writing splits', progress):
        write_new_json(dict(zip(paths, parts_of(paths))))


def _paths(out_dir: Path, ann_file: Path, fold: int, name: str) -> _Pair:
    stem = out_dir / f'{ann_file.stem}.{fold}@{name}'
    return Path(f'{stem}.json'), Path(f'{stem}-unlabeled.json')


def _parts(coco: dict, split: dict, ann_file: Path, keep_annotations: bool) -> tuple[dict, dict]:
    """The labelled and the unlabelled part; UserError if the labelled one has no box."""
    parts = split_coco(coco, split['num_labeled'], dict(split, order=_ORDER), keep_annotations)
    if not any(_is_box(thing) for thing in parts[0]['annotations']):
        raise UserError(
            f'the {split["num_labeled"]} labelled image(s) of fold {split["fold"]} of {ann_file} hold no '
            'box; label more images or use another seed.'
        )
    return parts


def split_coco(coco: dict, count: int, split: dict, keep_annotations: bool = False):
    """Split a COCO dict in two: (labelled, unlabelled).

    Args:
        coco: Content of an annotation file.
        count: Number of labelled images.
        split: ``seed``, ``fold`` and whatever else goes to the info of both parts.
        keep_annotations: Leave the annotations in the unlabelled part.
    """
    ids = [image['id'] for image in coco['images']]
    chosen = set(hash_order(ids, split['seed'], split['fold'])[:count])
    info = coco.get('info')
    parts = []
    for part, inside in (('labeled', True), ('unlabeled', False)):
        new_info = dict(info if isinstance(info, dict) else {}, split=dict(split, part=part))
        parts.append(dict(part_of(coco, chosen, inside), info=new_info))
        if not inside and not keep_annotations:
            parts[-1]['annotations'] = []
    return tuple(parts)


def part_of(coco: dict, chosen: set, inside: bool) -> dict:
    """A COCO dict with those of its images, and their annotations, whose ids are ``chosen``, or with the others."""
    images = [image for image in coco['images'] if (image['id'] in chosen) == inside]
    annotations = [thing for thing in coco['annotations'] if (thing['image_id'] in chosen) == inside]
    return dict(coco, images=images, annotations=annotations)


def _check_unique(ann_file: Path, images: list[dict]) -> None:
    for key in ('id', 'file_name'):
        value, times = Counter(image[key] for image in images).most_common(1)[0] if images else (None, 0)
        if times > 1:
            raise UserError(
                f'{ann_file} lists {times} images with {key} {value!r}, so one image '
                'could get into both parts; make them unique.'
            )


def refuse_strays(what: str | Path, coco: dict) -> None:
    """Refuse annotations of no image of the file, unless they are as few as the checks of a training bear: one in 1000.

    Raises:
        UserError: Naming what has them and an id; no part could get them.
    """
    known, owners = {image['id'] for image in coco['images']}, [thing['image_id'] for thing in coco['annotations']]
    strays = [owner for owner in owners if owner not in known]
    if strays and 1000 * len(strays) >= len(owners):
        first = next(iter(known), None)
        kinds = f'write both as whole numbers (an image has {first!r})' if type(first) is not type(strays[0]) else ''
        raise UserError(
            f'{what}: the image_id of {len(strays)} of {several(len(owners), "annotation")} is that of no entry of '
            f"'images', such as {strays[0]!r}: {kinds or 'add the images, or take these annotations out'}."
        )


def _from_percent(percent: float, total: int, ann_file: Path) -> int:
    if not 0 < percent < 100:
        raise UserError(f'percent={percent:g} must lie above 0 and below 100.')
    count = int(total * percent / 100 + 0.5)
    if not 0 < count < total:
        raise UserError(
            f'{percent:g} % of the {total} image(s) of {ann_file} leaves a part '
            'without images; give another percentage.'
        )
    return count


def _check_count(count: int, total: int, ann_file: Path) -> int:
    if not 0 < count < total:
        raise UserError(f'count={count} must lie above 0 and below the {total} image(s) of {ann_file}.')
    return count


def _is_box(annotation: dict) -> bool:
    _, _, width, height = annotation['bbox']
    return width >= 1 and height >= 1 and not annotation.get('iscrowd', 0)


def _track(jobs: Sequence, description: str, progress: bool) -> Iterable:
    if not progress or not jobs:
        return jobs
    from rich.progress import track

    return track(jobs, description=description)
