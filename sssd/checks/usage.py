"""What training uses of a labelled file, and why not the rest: the rules of mmdet's data sets, on arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sssd.checks.findings import Findings, either, number_of, some
from sssd.checks.table import Table
from sssd.errors import shorten

#: Why mmdet leaves a box out, in the order in which it asks; see CocoDataset.parse_data_info and XMLDataset.
REASONS = dict(
    image='whose image is not in the file',
    ignore="with 'ignore' set",
    outside='outside of their image',
    area='whose area is not above 0',
    tiny='less than a pixel wide or high',
    category='whose class is not among those of the config',
    crowd='of crowds, which no detector is trained on',
    difficult='marked as difficult',
    short='with a side below filter_cfg.bbox_min_size',
    filter='whose image is left out',
)


#: Where more than this part of the images has no label at all, perhaps nobody has labelled them yet.
MOST_BARE = 0.5


@dataclass(frozen=True, eq=False)
class Usage:
    """What is used.

    Attributes:
        boxes: (N,) boxes that are trained on.
        reasons: To each reason the number of boxes left out for it.
        images: Places of the images that the data set has.
        dropped: To each reason the number of images left out for it.
        without_box: How many of ``images`` have no box to train on.
    """

    boxes: np.ndarray
    reasons: dict[str, int]
    images: np.ndarray
    dropped: dict[str, int]
    without_box: int


def usage_of(table: Table, classes: Sequence[str], dataset: dict) -> Usage:
    """What a ``CocoDataset`` over a file has, or an ``XMLDataset`` over a table of VOC's form.

    Args:
        table: The file.
        classes: Names of the classes in the config.
        dataset: The data set's config: its ``filter_cfg``, ``test_mode`` and ``indices``.
    """
    wanted = np.array([name in set(classes) for name in table.classes] + [False])[table.category]
    boxes, reasons = _sieved(len(table.boxes), (_of_voc if table.form == 'VOC' else _of_coco)(table, wanted))
    images, dropped = _images(table, wanted, dataset)
    _leave_out(table, images, boxes, reasons)
    has_box = np.zeros(len(table.image_ids) + 1, bool)
    has_box[table.image[boxes]] = True
    return Usage(boxes, reasons, images, dropped, int((~has_box[images]).sum()))


def _of_coco(table: Table, wanted: np.ndarray) -> dict[str, np.ndarray]:
    """Where each reason holds."""
    corner, side = table.boxes[:, :2], table.boxes[:, 2:]
    sizes = np.concatenate([table.sizes, np.zeros((1, 2))])[table.image]
    with np.errstate(invalid='ignore', over='ignore'):
        inside = np.minimum(corner + side, sizes) - np.maximum(corner, 0)
        return dict(
            image=table.image < 0,
            ignore=table.ignored,
            outside=(np.maximum(0, inside) == 0).any(axis=1),
            area=table.areas <= 0,
            tiny=(side < 1).any(axis=1),
            category=~wanted,
            crowd=table.crowd,
        )


def _of_voc(table: Table, wanted: np.ndarray) -> dict[str, np.ndarray]:
    """Likewise; XMLDataset looks at no box but for ``bbox_min_size``."""
    return dict(category=~wanted, difficult=table.crowd, short=table.ignored)


def _sieved(count: int, left_out: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, int]]:
    """What no reason holds for, and how many each one takes that none before it took."""
    used, reasons = np.ones(count, bool), {}
    for name, where in left_out.items():
        reasons[name] = int((used & where).sum())
        used &= ~where
    return used, {name: number for name, number in reasons.items() if number}


def _leave_out(table: Table, images: np.ndarray, boxes: np.ndarray, reasons: dict[str, int]) -> None:
    """Take boxes of images that are left out from those that are used, in place."""
    kept = np.zeros(len(table.image_ids) + 1, bool)
    kept[images] = True
    gone = boxes & ~kept[table.image]
    if gone.any():
        reasons['filter'] = int(gone.sum())
        boxes &= ~gone


def _images(table: Table, wanted: np.ndarray, dataset: dict) -> tuple[np.ndarray, dict[str, int]]:
    """Places of the images that ``filter_cfg`` and ``indices`` leave, and how many go for which reason."""
    images = np.array(sorted(table.place_of.values()), np.int64)
    dropped = {'whose id another image has too': len(table.image_ids) - len(images)}
    rules = None if dataset.get('test_mode') else dataset.get('filter_cfg')
    if rules:
        has_class = np.zeros(len(table.image_ids) + 1, bool)
        has_class[table.image[wanted]] = True
        has_class[-1] = False
        if rules.get('filter_empty_gt', False):
            kept = has_class[images]
            dropped['without an object of the classes (filter_cfg.filter_empty_gt)'] = int((~kept).sum())
            images = images[kept]
        least = rules.get('min_size', 0)
        kept = table.sizes[images].min(axis=1, initial=np.inf) >= least
        dropped[f'smaller than {least} pixels (filter_cfg.min_size)'] = int((~kept).sum())
        images = images[kept]
    images = _picked(images, dataset.get('indices'), dropped)
    return images, {reason: count for reason, count in dropped.items() if count}


def _picked(images: np.ndarray, indices, dropped: dict) -> np.ndarray:
    """What ``indices`` leaves: a number of the first, or places; as MMEngine's data sets have it."""
    if indices is None:
        return images
    try:
        kept = (images[:indices] if indices >= 0 else images[indices:]) if isinstance(indices, int) else images[indices]
    except (IndexError, TypeError):
        return images
    dropped['left out by the config (indices)'] = len(images) - len(kept)
    return kept


def tell_use(
    findings: Findings, key: str, dataset: dict, table: Table, usage: Usage, classes: Sequence[str], labelled: bool
) -> None:
    """Tell what is used, or that nothing is.

    Args:
        findings: Where to.
        key: The data set's key in the config.
        dataset: Its config.
        table: The file.
        usage: What is used.
        classes: Names of the classes in the config.
        labelled: Whether its labels are used at all.
    """
    empty = any('filter_empty_gt' in reason for reason in usage.dropped)
    if not len(usage.images) and not (labelled and empty):
        findings.error(
            'nothing-left',
            key,
            f'{table.path} of {key} has no image left after filter_cfg; check the file and filter_cfg.',
        )
    elif labelled and not usage.boxes.any():
        why = f' (of its {number_of(len(table.boxes), "box")}: {_why(table, usage, classes)})' if usage.reasons else ''
        findings.error(
            'no-box',
            key,
            f'{table.path} of {key} has no box of the classes {shorten(classes)} that can be used{why}; give a '
            'labelled file.',
        )
    else:
        tell_usage(findings, table, key, usage, classes, labelled and not dataset.get('test_mode'), labelled)


def tell_usage(
    findings: Findings, table: Table, key: str, usage: Usage, classes: Sequence[str], trained: bool, labelled: bool
) -> None:
    """Tell what is left out, and classes without a box.

    Args:
        findings: Where to.
        table: The file.
        key: The data set's key in the config.
        usage: What is used.
        classes: Names of the classes in the config.
        trained: Whether its labels are trained on.
        labelled: Whether its labels are used at all.
    """
    total, used = len(table.boxes), int(usage.boxes.sum())
    if labelled and used < total and (trained or set(usage.reasons) - {'crowd', 'difficult'}):
        verb = 'trains on' if trained else 'is evaluated on'
        text = f'{key} {verb} {used} of the {total} boxes of {table.path}; left out: {_why(table, usage, classes)}.'
        findings.note('boxes-unused', table.path, text, total - used)
    if labelled and not trained and usage.reasons.get('ignore'):
        count = usage.reasons['ignore']
        findings.warning(
            'ignored-in-evaluation',
            table.path,
            f"{table.path} of {key} has {number_of(count, 'box')} with 'ignore' set, which pycocotools does not know "
            'and counts as missed: set iscrowd to 1 in its place, which it leaves out.',
            count,
        )
    if usage.dropped:
        why = '; '.join(f'{count} {reason}' for reason, count in usage.dropped.items())
        findings.note(
            'images-unused',
            table.path,
            f'{key} uses {len(usage.images)} of the {len(table.image_ids)} images of {table.path}; left out: {why}.',
            sum(usage.dropped.values()),
        )
    if labelled:
        _tell_bare(findings, table, key, trained)
    if trained and usage.without_box:
        findings.note(
            'images-without-box',
            table.path,
            f'{usage.without_box} of the {len(usage.images)} images that {key} uses '
            f'{either(usage.without_box, "has", "have")} no box to train on: '
            f'{either(usage.without_box, "it is", "they are")} background, or passed over where the pipeline has '
            'FilterAnnotations with keep_empty=False.',
            usage.without_box,
        )
    if labelled:
        _tell_classes(findings, table, key, usage, classes, trained)


def _tell_bare(findings: Findings, table: Table, key: str, trained: bool) -> None:
    """Tell of images without any label, if they are most: exports of tools have those that are still to be labelled."""
    labelled = np.zeros(len(table.image_ids) + 1, bool)
    labelled[table.image] = True
    count, total = int((~labelled[:-1]).sum()), len(table.image_ids)
    if count <= MOST_BARE * total:
        return
    lost = (
        'they are left out or background, and could be unlabelled images'
        if trained
        else 'what is found there counts as wrong, so the AP is too low'
    )
    findings.warning(
        'bare',
        table.path,
        f'{count} of the {total} images of {table.path} of {key} have no label at all: if nobody has labelled them '
        f'yet, {lost}. Take them out of the file{" and name them among the unlabelled ones" if trained else ""}; if '
        'they show no object, nothing is wrong.',
        count,
    )


def _why(table: Table, usage: Usage, classes: Sequence[str]) -> str:
    """The reasons, with the classes that are not wanted."""
    told = {name: REASONS[name] for name in usage.reasons}
    if 'category' in told:
        others = [table.classes[place] for place in np.unique(table.category[table.category >= 0])]
        told['category'] += f' ({some([name for name in others if name not in set(classes)])})'
    return '; '.join(f'{count} {told[name]}' for name, count in usage.reasons.items())


def _tell_classes(
    findings: Findings, table: Table, key: str, usage: Usage, classes: Sequence[str], trained: bool
) -> None:
    """Tell of classes without a box."""
    counts = np.bincount(table.category[usage.boxes], minlength=len(table.classes))
    empty = [name for name, count in zip(table.classes, counts) if name in classes and not count]
    if empty:
        what = 'cannot be learned' if trained else f'{either(len(empty), "is", "are")} in no AP'
        findings.warning(
            'class-without-box',
            table.path,
            f'{table.path} of {key} has no box of {number_of(len(empty), "class")} ({some(empty)}): '
            f'{either(len(empty), "it", "they")} {what}.',
            len(empty),
            empty,
        )
