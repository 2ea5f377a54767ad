"""Checks of a config's data before training starts.

mmdet takes many a mistake in silence: class names that do not match the JSON give a data set
without a single box. :func:`check_data` finds such mistakes without building a model.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
from mmdet.datasets import CocoDataset, XMLDataset
from mmdet.registry import DATASETS

from sssd.checks.evaluator import check_evaluator, formats_only
from sssd.checks.labels import check_labels_loaded, steps_of, type_name
from sssd.checks.xml import check_xml
from sssd.data.image_folder import EXTENSIONS, ImageFolder, list_images, pick_listed
from sssd.data.sampler import split_batch
from sssd.datasets.json_io import read_coco
from sssd.errors import UserError, shorten

_MAX_FILES = 2000  # so many image files are looked for, evenly spread over a data set


def check_data(cfg, parts: Sequence[str] = ('train', 'val')) -> list[str]:
    """Check the data sets of a config, their files, classes and boxes.

    Args:
        cfg: A parsed mmengine ``Config`` (or dict) with ``<part>_dataloader`` and ``model``.
        parts: Which dataloaders to look at; one that the config lacks is passed over.

    Returns:
        One line per data set for the log: what it holds.

    Raises:
        UserError: For the first mistake found, naming the key or file and the remedy.
    """
    lines, known = [], {}
    for part in parts:
        loader = cfg.get(f'{part}_dataloader')
        if not loader:
            continue
        where = f'{part}_dataloader'
        labelled_only = _check_sampler(where, loader) and not formats_only(cfg.get(f'{part}_evaluator'))
        sets = list(_leaves(f'{where}.dataset', loader['dataset']))
        first = f'{where}.dataset.datasets[0]'
        for key, dataset in sets:
            labelled = labelled_only or key.startswith(first)
            check_labels_loaded(cfg.get('model') or {}, part, key, dataset, labelled)
            lines.append(_check_dataset(key, dataset, labelled))
        classes = _check_same_classes(sets)
        if classes is not None:
            _check_num_classes(cfg.get('model') or {}, classes)
            known[where] = classes
        check_evaluator(f'{part}_evaluator', cfg.get(f'{part}_evaluator'), classes, _coco_file(sets))
    _check_parts_agree(known)
    return lines


def _check_sampler(where: str, loader: dict) -> bool:
    """Check a sampler of several sources; whether all data of this loader are labelled."""
    sampler = loader.get('sampler') or {}
    ratio = sampler.get('source_ratio')
    if ratio is None:
        return True
    if sampler.get('batch_size') != loader.get('batch_size'):
        raise UserError(
            f'{where}.batch_size={loader.get("batch_size")} and '
            f'{where}.sampler.batch_size={sampler.get("batch_size")} must be equal, '
            'or batches mix their sources wrongly.'
        )
    sets = loader['dataset'].get('datasets')
    if sets is None or len(sets) != len(ratio):
        raise UserError(
            f'{where}.sampler.source_ratio={list(ratio)} needs a ConcatDataset of '
            f'{len(ratio)} data sets in {where}.dataset.'
        )
    split_batch(loader['batch_size'], ratio)
    return False


def _leaves(key: str, dataset: dict) -> Iterator[tuple[str, dict]]:
    """The data sets inside wrappers, each with its key in the config."""
    if 'datasets' in dataset:
        for number, inner in enumerate(dataset['datasets']):
            yield from _leaves(f'{key}.datasets[{number}]', inner)
    elif 'dataset' in dataset:
        yield from _leaves(f'{key}.dataset', dataset['dataset'])
    else:
        yield key, dataset


def _join(dataset: dict, path: str) -> str:
    root = dataset.get('data_root') or ''
    return path if os.path.isabs(path) else os.path.join(root, path)


def _class_of(dataset: dict):
    kind = dataset.get('type')
    return DATASETS.get(kind) if isinstance(kind, str) else kind


def _coco_file(sets: list):
    """The annotation file of a loader's one COCO data set; None if there are several, or only a part of it is taken."""
    if len(sets) != 1:
        return None
    dataset = sets[0][1]
    is_coco = getattr(_class_of(dataset), 'load_data_list', None) is CocoDataset.load_data_list
    whole = is_coco and dataset.get('ann_file') and dataset.get('indices') is None
    return _join(dataset, dataset['ann_file']) if whole else None


def _check_dataset(key: str, dataset: dict, labelled: bool) -> str:
    kind = _class_of(dataset)
    if kind is None:
        raise UserError(
            f'{key}.type={dataset.get("type")!r} is no registered data set; check its spelling and custom_imports.'
        )
    if '://' in str(dataset.get('data_root')) or dataset.get('backend_args'):
        return f'{key}: not checked, it does not lie in the file system'
    folder = _join(dataset, (dataset.get('data_prefix') or {}).get('img', ''))
    if not os.path.isdir(folder or '.'):
        raise UserError(f'image folder {folder} of {key} does not exist; check data_root and data_prefix.')
    if issubclass(kind, ImageFolder):
        images = list_images(folder)
        if not images:
            raise UserError(f'image folder {folder} of {key} holds no image; check data_root and data_prefix.')
        if dataset.get('ann_file'):
            images = pick_listed(images, folder, _join(dataset, dataset['ann_file']))
        if not dataset.get('skip_broken') and _decodes_by_opencv(dataset):
            _check_decodable(images, folder)
        return f'{key}: {len(images)} images, unlabelled, of {folder}'
    loads = getattr(kind, 'load_data_list', None)
    is_coco = loads is CocoDataset.load_data_list
    if not is_coco and not dataset.get('ann_file'):
        return f'{key}: not checked, it has no annotation file'
    ann_file = _join(dataset, dataset.get('ann_file') or '')
    if not os.path.isfile(ann_file):
        raise UserError(f'annotation file {ann_file} of {key} does not exist; check data_root and ann_file.')
    if loads is XMLDataset.load_data_list:
        folder = _join(dataset, (dataset.get('data_prefix') or {}).get('sub_data_root', ''))
        return check_xml(key, dataset, ann_file, folder, _classes(key, dataset), labelled)
    if not is_coco:
        return f'{key}: {ann_file}, not looked into: it is neither a CocoDataset nor an XMLDataset'
    return _check_coco(key, dataset, ann_file, folder, labelled)


def _check_coco(key: str, dataset: dict, ann_file: str, folder: str, labelled: bool) -> str:
    coco = read_coco(ann_file, annotations=labelled)
    classes = _classes(key, dataset)
    names = [category['name'] for category in coco['categories']]
    unknown = [name for name in classes if name not in names] if labelled or names else []
    if unknown:
        raise UserError(
            f'{key}.metainfo.classes names {shorten(unknown)}, which {ann_file} does '
            f'not have; its categories are {shorten(names)}: set metainfo='
            'dict(classes=...) to these.'
        )
    order = [name for name in names if name in classes]
    if labelled and order != list(classes):
        raise UserError(
            f'{ann_file} of {key} lists its categories as {shorten(order)}, but the classes are '
            f'{shorten(classes)}: mmdet numbers them in the order of the file, so bring both into one.'
        )
    images = _kept_images(coco, dataset)
    if not images:
        raise UserError(f'{ann_file} of {key} has no image left after filter_cfg; check the file and filter_cfg.')
    if labelled and any('area' not in thing for thing in coco['annotations']):
        raise UserError(
            f'{ann_file} of {key} has annotations without an area, which mmdet reads: add it, such as '
            'width times height of the box.'
        )
    boxes = _count_boxes(coco, classes, images)
    if labelled and not boxes:
        raise UserError(f'{ann_file} of {key} has no box of the classes {shorten(classes)}; give a labelled file.')
    check_files(
        ann_file, folder, [image['file_name'] for image in images.values()], decoded=_decodes_by_opencv(dataset)
    )
    return f'{key}: {len(images)} images, {boxes} boxes, {len(classes)} classes, of {ann_file}'


def _classes(key: str, dataset: dict) -> tuple[str, ...]:
    """Class names of a data set as mmdet takes them from its config."""
    classes = (dataset.get('metainfo') or {}).get('classes')
    if isinstance(classes, str):
        if not os.path.isfile(classes):
            raise UserError(f"{key}.metainfo.classes is the text {classes!r}; give a tuple such as ('{classes}',).")
        classes = Path(classes).read_text().splitlines()
    if classes is None:
        classes = getattr(_class_of(dataset), 'METAINFO', {}).get('classes', ())
    return tuple(classes)


def _kept_images(coco: dict, dataset: dict) -> dict:
    """Images by id that ``filter_cfg`` leaves, but for the one about empty images."""
    filter_cfg = None if dataset.get('test_mode') else dataset.get('filter_cfg')
    min_size = (filter_cfg or {}).get('min_size', 0)
    return {image['id']: image for image in coco['images'] if min(image['width'], image['height']) >= min_size}


def _count_boxes(coco: dict, classes: Sequence[str], images: dict) -> int:
    """Boxes that mmdet's ``CocoDataset`` would train on."""
    wanted = {category['id'] for category in coco['categories'] if category['name'] in classes}
    count = 0
    for thing in coco.get('annotations') or []:
        image = images.get(thing['image_id'])
        if image is None or thing['category_id'] not in wanted:
            continue
        if thing.get('ignore') or thing.get('iscrowd') or thing.get('area', 0) <= 0:
            continue
        x, y, width, height = thing['bbox']
        inside = min(x + width, image['width']) > max(x, 0) and min(y + height, image['height']) > max(y, 0)
        count += inside and width >= 1 and height >= 1
    return count


def check_files(
    ann_file: str, folder: str, names: list[str], remedy: str = 'check data_prefix', decoded: bool = True
) -> None:
    """Look for images of an annotation file, up to 2000 of them, evenly spread, and at their first bytes.

    Args:
        ann_file: The annotation file.
        folder: The folder of the images.
        names: Their names in it.
        remedy: What to do about a missing one.
        decoded: Whether OpenCV is going to decode them, so that it has to know their kind.

    Raises:
        UserError: Naming one that is missing, and the remedy, or one that is there and no image.
    """
    looked_for = _spread(names)
    missing = [name for name in looked_for if not os.path.isfile(os.path.join(folder, name))]
    if missing:
        raise UserError(
            f'{len(missing)} of {len(looked_for)} images looked for of {ann_file} are '
            f'missing, such as {os.path.join(folder, missing[0])}; {remedy}.'
        )
    if decoded:
        _check_decodable([os.path.join(folder, name) for name in names], ann_file)


def _spread(items: list) -> list:
    """Up to 2000 of the items, evenly spread."""
    return items[:: max(1, -(-len(items) // _MAX_FILES))]


def _decodes_by_opencv(dataset: dict) -> bool:
    """Whether images are loaded by mmcv's default backend, and one that is broken ends the training."""
    loads = [
        step
        for step in steps_of(dataset.get('pipeline') or [])
        if type_name(step) in ('LoadImageFromFile', 'LoadImage')
    ]
    return bool(loads) and all(
        step.get('imdecode_backend', 'cv2') == 'cv2' and not step.get('ignore_empty') for step in loads
    )


def _check_decodable(paths: list[str], source: str) -> None:
    """Refuse files that have the name of an image, and neither the first bytes of one nor leave to be read."""
    for path in _spread(paths):
        if not path.lower().endswith(EXTENSIONS) or cv2.haveImageReader(path):
            continue
        if not os.access(path, os.R_OK):
            raise UserError(f'image {path} may not be read by this user; change its permissions.')
        raise UserError(
            f'image {path} cannot be decoded, the file is broken; put the right file there or take it out of {source}.'
        )


def _check_same_classes(sets: list):
    """Class names shared by the data sets of one loader; None where a class is unknown."""
    first = None
    for key, dataset in sets:
        classes = _classes(key, dataset)
        if first is None:
            first = key, classes
        elif classes != first[1]:
            raise UserError(
                f'{key} and {first[0]} have different classes ({shorten(classes)}; '
                f'{shorten(first[1])}); give both the same metainfo.'
            )
    return first[1] if first and first[1] else None


def _check_num_classes(model: dict, classes: Sequence[str]) -> None:
    for key, number in _head_classes('model', model):
        if number != len(classes):
            raise UserError(
                f'{key}.num_classes={number} does not fit the {len(classes)} classes '
                f'of the data ({shorten(classes)}); set it to {len(classes)}.'
            )


def _head_classes(key: str, node, in_head: bool = False) -> Iterator[tuple[str, int]]:
    """(key, num_classes) of the heads that tell the data's classes apart: neither RPN nor masks
    of stuff."""
    if isinstance(node, (list, tuple)):
        for number, inner in enumerate(node):
            yield from _head_classes(f'{key}[{number}]', inner, in_head)
    elif isinstance(node, dict):
        if in_head and isinstance(node.get('num_classes'), int):
            yield key, node['num_classes']
        for name, inner in node.items():
            if name.startswith(('rpn', 'semantic', 'seg')):
                continue
            yield from _head_classes(f'{key}.{name}', inner, in_head or name.endswith('head'))


def _check_parts_agree(known: dict) -> None:
    """Refuse other classes, or another order of them, for evaluation than for training: a label is a place in it."""
    for (first, ours), (second, theirs) in zip(known.items(), list(known.items())[1:]):
        if ours != theirs:
            raise UserError(
                f'{first} and {second} have different classes ({shorten(ours)}; {shorten(theirs)}), or '
                'another order of them; give both the same metainfo=dict(classes=...), and categories in '
                'its order.'
            )
