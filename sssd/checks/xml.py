"""Checks of VOC-style data before training: mmdet's XMLDataset drops what it does not know in silence."""

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sssd.checks.boxes import check_boxes
from sssd.checks.files import Images, look_at, spread
from sssd.checks.findings import either, number_of, part_of, some
from sssd.checks.headers import Header
from sssd.checks.overlap import Source
from sssd.checks.reading import text_lines
from sssd.checks.run import Run
from sssd.checks.sizes import check_sizes
from sssd.checks.sources import decodes_by_opencv, scales_deep, turns_by_exif
from sssd.checks.table import Table
from sssd.checks.usage import tell_use, usage_of
from sssd.checks.voc_table import VocFiles, read_voc
from sssd.errors import UserError
from sssd.progress import tracked


def check_xml(
    run: Run, key: str, dataset: dict, ann_file: str, folder: str, classes: Sequence[str], labelled: bool
) -> None:
    """Check an ``XMLDataset`` or ``VOCDataset``: its images, its labels, its classes.

    Args:
        run: Where to, and how thoroughly.
        key: The data set's key in the config.
        dataset: The data set's config.
        ann_file: The text file that names the images.
        folder: The folder of ``img_subdir`` and ``ann_subdir``.
        classes: Class names of the config.
        labelled: Whether training or evaluation needs its boxes.
    """
    names = text_lines(ann_file)
    if not names:
        raise UserError(f'{ann_file} of {key} names no image; give a list with one name a line.')
    images, labels = (
        os.path.join(folder, dataset.get(name, default))
        for name, default in (('img_subdir', 'JPEGImages'), ('ann_subdir', 'Annotations'))
    )
    looked_at = spread(names, run.thorough)
    missing = _missing(run, key, ann_file, images, labels, looked_at)
    there = [path for path in (os.path.join(images, f'{name}.jpg') for name in names) if path not in missing]
    rules = dataset.get('filter_cfg') or {}
    asked = Images(
        ann_file,
        there,
        turns_by_exif(dataset),
        decodes_by_opencv(dataset),
        scales_deep(dataset),
        least=0 if dataset.get('test_mode') else rules.get('min_size', 0),
    )
    headers = look_at(run.findings, asked, run.thorough, run.headers)
    run.sources.append(Source(run.role_of(key, labelled), ann_file, there, headers, images))
    told = tracked(looked_at, 'labels', len(looked_at)) if run.thorough else looked_at
    found = read_voc(ann_file, told, labels, classes, rules.get('bbox_min_size'))
    _tell_faults(run, key, dataset, ann_file, found)
    paths = [os.path.join(images, name) for name in found.table.names]
    _check_labels(run, found, paths, headers, asked.turns, labelled)
    has_box = _tell_objects(run, key, ann_file, names, found, classes, labelled)
    if has_box and not missing and not found.faults and len(looked_at) == len(names):
        table = replace(found.table, sizes=_filled(found.table, paths, headers, np.isnan))
        usage = usage_of(table, classes, dataset)
        tell_use(run.findings, key, dataset, table, usage, classes, labelled)


def _missing(run: Run, key: str, ann_file: str, images: str, labels: str, looked_at: list[str]) -> set[str]:
    """Images and XML files that are not there, which are told; and names that are listed several times."""
    paths = [path for name in looked_at for path in (f'{images}/{name}.jpg', f'{labels}/{name}.xml')]
    missing = [os.path.normpath(path) for path in paths if not os.path.isfile(path)]
    if missing:
        run.findings.error(
            'missing',
            ann_file,
            f'{missing[0]} of {key} does not exist{f" ({len(missing)} such files)" if len(missing) > 1 else ""}; check '
            f'data_prefix.sub_data_root and {ann_file}, which names .jpg images without their extension.',
            len(missing),
            missing,
        )
    twice = [name for name, count in Counter(looked_at).items() if count > 1]
    if twice:
        run.findings.warning(
            'duplicate-file',
            ann_file,
            f'{ann_file} names {number_of(len(twice), "image")} several times ({some(twice)}), each of which counts '
            'as often: name every image once.',
            len(looked_at) - len(set(looked_at)),
            twice,
        )
    return {*missing, *(path for path in paths if os.path.normpath(path) in set(missing))}


def _tell_faults(run: Run, key: str, dataset: dict, ann_file: str, found: VocFiles) -> None:
    """Tell of files and elements on which XMLDataset fails, each kind once, and of a rule that it refuses."""
    by_kind = defaultdict(list)
    for kind, path, sentence in found.faults:
        by_kind[kind].append((path, sentence))
    for told in by_kind.values():
        more = f' ({len(told)} such places)' if len(told) > 1 else ''
        text = f'{told[0][1].rstrip(".")}{more}, on which mmdet fails: correct the label.'
        run.findings.error('xml', ann_file, text, len(told), [path for path, _ in told])
    if dataset.get('test_mode') and (dataset.get('filter_cfg') or {}).get('bbox_min_size') is not None:
        run.findings.error(
            'config',
            key,
            f'{key}.filter_cfg.bbox_min_size does not go with test_mode=True, on which mmdet fails: leave it out.',
        )


def _filled(table: Table, paths: list[str], headers: dict[str, Header], absent, turns: bool = True) -> np.ndarray:
    """The sizes of a table, those that are ``absent`` taken from the images: mmdet decodes where there is none."""
    sizes = table.sizes.copy()
    for place in np.flatnonzero(absent(sizes).any(axis=1)):
        header = headers.get(paths[place])
        if header is not None and not header.trouble:
            sizes[place] = header.size(turns)
    return sizes


def _check_labels(
    run: Run, found: VocFiles, paths: list[str], headers: dict[str, Header], turns: bool, labelled: bool
) -> None:
    """Look at sizes and boxes, as in a COCO file."""
    table = found.table
    zero = (table.sizes <= 0).any(axis=1)
    if zero.any():
        places = [paths[place] for place in np.flatnonzero(zero)]
        count = part_of(len(places), len(zero), 'XML file')
        run.findings.warning(
            'size-0',
            table.path,
            f'{table.path}: {count} looked at {either(len(places), "says", "say")} that width or height is 0, such as '
            f'that of {places[0]}: filter_cfg.min_size leaves out such images; write the size of the image.',
            len(places),
            places,
        )
    sizes = _filled(table, paths, headers, lambda sizes: np.isnan(sizes) | (sizes <= 0), turns)
    sized = replace(table, sizes=sizes)
    wrong_size = check_sizes(run.findings, sized, paths, headers, turns, labelled)
    if not labelled:
        return
    check_boxes(run.findings, sized, wrong_size | np.isnan(sizes).any(axis=1))
    if found.shifted:
        run.findings.note(
            'from-zero',
            table.path,
            f'{table.path}: {part_of(found.shifted, len(table.boxes), "box")} '
            f'{either(found.shifted, "has", "have")} a corner at 0 or between pixels, but those of VOC count from 1: '
            'mmdet takes 1 off and cuts what is behind the point, so these boxes are up to a pixel or two off; '
            '`sssd init` reads them as they are.',
            found.shifted,
        )


def _tell_objects(
    run: Run, key: str, ann_file: str, names: list[str], found: VocFiles, classes: Sequence[str], labelled: bool
) -> bool:
    """Tell what the XML files hold; whether that is a box to train on."""
    boxes, others, difficult = len(found.table.boxes), sum(found.others.values()), int(found.table.crowd.sum())
    has_box = boxes > difficult
    kinds = sorted({*found.others, *(classes[kind] for kind in set(found.table.kinds))})
    if labelled and not has_box and not (found.faults and not kinds):
        run.findings.error(
            'no-box',
            key,
            f'{ann_file} of {key} has no box that counts of the classes {", ".join(classes[:6])}; its '
            f'boxes are of {", ".join(kinds[:6]) or "no class"}: set metainfo=dict(classes=...) '
            'to these.',
        )
    elif others:
        _tell_others(run, key, ann_file, found, classes)
    run.findings.lines.append(
        f'{key}: {number_of(len(names), "image")} of {ann_file}; in the {len(found.table.names)} looked at '
        f'{number_of(boxes, "box")} of {number_of(len(classes), "class")}, {difficult} of them difficult, and '
        f'{others} of other classes, which are left out'
    )
    return has_box or not labelled


def _tell_others(run: Run, key: str, ann_file: str, found: VocFiles, classes: Sequence[str]) -> None:
    """Tell of classes that the config does not name; a warning if one differs in case or spaces alone."""
    known = {_plain(name): name for name in classes}
    near = [name for name in found.others if _plain(name) in known]
    names, total = list(found.others), sum(found.others.values())
    hint = f'; {near[0]!r} is nearly {known[_plain(near[0])]!r}, so write it in one way' if near else ''
    run.findings.add(
        'warning' if near else 'note',
        'other-classes',
        ann_file,
        f'{ann_file} of {key}: {number_of(total, "box")} {either(total, "is", "are")} of classes that metainfo.classes '
        f'does not name ({some([repr(name) for name in names])}), and left out{hint}.',
        total,
        [*near, *(name for name in names if name not in near)],
    )


def _plain(name: str) -> str:
    return ''.join(name.split()).casefold()
