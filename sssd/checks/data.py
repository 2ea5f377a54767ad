"""Checks of a config's data before training starts.

mmdet takes many a mistake in silence: class names that do not match the JSON give a data set without a single box.
:func:`examine` finds such mistakes, all of them, without building a model; :func:`check_data` refuses them.
"""

import gc
import os
from collections.abc import Callable, Sequence

from mmdet.datasets import CocoDataset, XMLDataset

from sssd.checks.classes import check_num_classes, check_parts_agree, check_same_classes, classes_of
from sssd.checks.coco import check_coco
from sssd.checks.evaluator import check_evaluator, formats_only
from sssd.checks.files import Images, look_at
from sssd.checks.findings import Findings, number_of, shown
from sssd.checks.folder import PIPE, check_folder, tell_special
from sssd.checks.labels import check_labels_loaded
from sssd.checks.overlap import Source, check_overlap
from sssd.checks.run import Run
from sssd.checks.shape import has_shape
from sssd.checks.sources import (
    check_sampler,
    class_of,
    decodes_by_opencv,
    join,
    labelled_keys,
    leaves,
    scales_deep,
    turns_by_exif,
)
from sssd.checks.strangers import check_strangers
from sssd.checks.unnamed import check_unnamed
from sssd.checks.xml import check_xml
from sssd.data.image_folder import ImageFolder, list_images, pick_listed
from sssd.errors import UserError
from sssd.places import TOY_ROOT


def check_data(cfg, parts: Sequence[str] = ('train', 'val'), tell: Callable[[str], None] | None = None) -> list[str]:
    """Check the data sets of a config, their files, classes and boxes.

    Args:
        cfg: A parsed mmengine ``Config`` (or dict) with ``<part>_dataloader`` and ``model``.
        parts: Which dataloaders to look at; one that the config lacks is passed over.
        tell: Called with each warning and note, in one line.

    Returns:
        One line per data set for the log: what it holds.

    Raises:
        UserError: For all mistakes found, each naming the key or file and the remedy; warnings pass.
    """
    findings = examine(cfg, parts).findings
    for line in findings.told() if tell else ():
        tell(line)
    findings.require_none()
    return [shown(line) for line in findings.lines]


def examine(cfg, parts: Sequence[str] = ('train', 'val'), thorough: bool = False) -> Run:
    """Look at the data sets of a config and gather all that is wrong or worth knowing.

    Args:
        cfg: As for :func:`check_data`.
        parts: Likewise.
        thorough: Look at every image and compare contents, with progress; else at a sample of 2000 of each data set.

    Returns:
        The run, with its findings.
    """
    waits = gc.isenabled()
    gc.disable()  # it would look at millions of entries again and again, none of which is garbage
    try:
        return _examine(Run(thorough), cfg, parts)
    finally:
        if waits:
            gc.enable()


def _examine(run: Run, cfg, parts: Sequence[str]) -> Run:
    """Look at all dataloaders, and at what they have to do with one another."""
    known = {}
    for part in parts:
        loader = cfg.get(f'{part}_dataloader')
        if not loader or not has_shape(run.findings, f'{part}_dataloader', loader, cfg.get('model') or {}):
            continue
        classes = _check_loader(run, cfg, part, loader)
        if classes is not None:
            known[f'{part}_dataloader'] = classes
    check_parts_agree(run.findings, known)
    run.shared = check_overlap(run.findings, run.sources, run.thorough)
    check_strangers(run.findings, run.sources)
    if run.thorough and len(run.sources) == run.sets:
        check_unnamed(run.findings, run.sources)
    return run


def _check_loader(run: Run, cfg, part: str, loader: dict) -> Sequence[str] | None:
    """Check one dataloader and its evaluator; the classes of its data, if they are known."""
    where, model = f'{part}_dataloader', cfg.get('model') or {}
    evaluator = cfg.get(f'{part}_evaluator')
    mixed = check_sampler(run.findings, where, loader)
    sets = list(leaves(f'{where}.dataset', loader['dataset']))
    run.sets += len(sets)
    labelled = labelled_keys(sets, f'{where}.dataset.datasets[0]' if mixed else None)
    if formats_only(evaluator):
        labelled = set()
    for key, dataset in sets:
        _gathered(run.findings, key, check_labels_loaded, model, part, key, dataset, key in labelled)
        if not _has_no_root(run, key, dataset):
            _gathered(run.findings, key, _check_dataset, run, key, dataset, key in labelled)
    classes = check_same_classes(run.findings, sets)
    if classes is not None:
        check_num_classes(run.findings, model, classes)
    if not any(key in run.absent for key, _ in sets):
        check_evaluator(run.findings, run.files, f'{part}_evaluator', evaluator, classes, _coco_file(sets))
    return classes


def _has_no_root(run: Run, key: str, dataset: dict) -> bool:
    """Whether all of a data set lies in a folder that does not exist, which is told once."""
    root = str(dataset.get('data_root') or '')
    if not root or '://' in root or dataset.get('backend_args'):
        return False
    inside = dataset.get('ann_file') or '', (dataset.get('data_prefix') or {}).get('img', '')
    if all(map(os.path.isabs, inside)) or any(os.path.exists(join(dataset, path)) for path in ('', *inside)):
        return False
    told = root in run.absent.values()
    run.absent[key] = root
    if not told:
        drawn = os.path.normpath(root) == os.path.normpath(TOY_ROOT)
        remedy = '`python -m sssd toy` draws it' if drawn else 'put the data there, or correct data_root'
        run.findings.error('missing-root', key, f'folder {root}, data_root of {key}, does not exist; {remedy}.')
    return True


def _gathered(findings: Findings, where: str, check: Callable, *args) -> None:
    """Run a check; what it raises becomes a finding."""
    try:
        check(*args)
    except UserError as error:
        findings.error('data', where, str(error))


def _coco_file(sets: list) -> str | None:
    """The annotation file of a loader's one COCO data set; None if there are several, or only a part of it is taken."""
    if len(sets) != 1:
        return None
    dataset = sets[0][1]
    is_coco = getattr(class_of(dataset), 'load_data_list', None) is CocoDataset.load_data_list
    whole = is_coco and dataset.get('ann_file') and dataset.get('indices') is None
    return join(dataset, dataset['ann_file']) if whole else None


def _check_dataset(run: Run, key: str, dataset: dict, labelled: bool) -> None:
    kind = class_of(dataset)
    if kind is None:
        raise UserError(
            f'{key}.type={dataset.get("type")!r} is no registered data set; check its spelling and custom_imports.'
        )
    if '://' in str(dataset.get('data_root')) or dataset.get('backend_args'):
        run.findings.lines.append(f'{key}: not checked, it does not lie in the file system')
        return
    folder = join(dataset, (dataset.get('data_prefix') or {}).get('img', ''))
    there = os.path.isdir(folder or '.')
    if not there:
        run.findings.error(
            'missing-folder', key, f'image folder {folder} of {key} does not exist; check data_root and data_prefix.'
        )
    if issubclass(kind, ImageFolder):
        if there:
            _check_image_folder(run, key, dataset, folder)
        return
    _check_annotated(run, key, dataset, kind, folder, labelled)


def _check_annotated(run: Run, key: str, dataset: dict, kind, folder: str, labelled: bool) -> None:
    """Check a data set with an annotation file."""
    loads = getattr(kind, 'load_data_list', None)
    is_coco = loads is CocoDataset.load_data_list
    if not is_coco and not dataset.get('ann_file'):
        run.findings.lines.append(f'{key}: not checked, it has no annotation file')
        return
    ann_file = join(dataset, dataset.get('ann_file') or '')
    if not os.path.exists(ann_file):
        raise UserError(f'annotation file {ann_file} of {key} does not exist; check data_root and ann_file.')
    classes = classes_of(run.findings, key, dataset)
    if loads is XMLDataset.load_data_list:
        folder = join(dataset, (dataset.get('data_prefix') or {}).get('sub_data_root', ''))
        check_xml(run, key, dataset, ann_file, folder, classes, labelled)
    elif is_coco:
        check_coco(run, key, dataset, ann_file, folder, classes, labelled)
    else:
        run.findings.lines.append(f'{key}: {ann_file}, not looked into: it is neither a CocoDataset nor an XMLDataset')


def _check_image_folder(run: Run, key: str, dataset: dict, folder: str) -> None:
    """Check a folder of unlabelled images."""
    special = check_folder(run.findings, key, folder or '.', run.thorough)
    paths = list_images(folder)
    if special:
        listed = special.keys() & set(paths)
        tell_special(run.findings, folder, special, listed)
        paths = [path for path in paths if special.get(path) != PIPE]
    if not paths:
        raise UserError(f'image folder {folder} of {key} holds no image; check data_root and data_prefix.')
    if dataset.get('ann_file'):
        paths = pick_listed(paths, folder, join(dataset, dataset['ann_file']))
    least = 0 if dataset.get('test_mode') else (dataset.get('filter_cfg') or {}).get('min_size', 0)
    skips = dataset.get('skip_broken', False)
    images = Images(
        folder,
        paths,
        turns_by_exif(dataset),
        not skips and decodes_by_opencv(dataset),
        scales_deep(dataset),
        least=least,
    )
    headers = look_at(run.findings, images, run.thorough, run.headers)
    run.sources.append(Source('unlabelled' if key.startswith('train') else 'val', folder, paths, headers))
    used = len(paths)
    if run.thorough:
        small = [path for path in paths if not headers[path].trouble and min(headers[path].size()) < least]
        used -= len(small) + (sum(bool(headers[path].trouble) for path in paths) if skips else 0)
        if used < len(paths):
            run.findings.note(
                'images-unused',
                folder,
                f'{key} uses {used} of the {len(paths)} images of {folder}; left out: {len(small)} smaller than '
                f'{least} pixels (filter_cfg.min_size), {len(paths) - used - len(small)} broken (skip_broken).',
                len(paths) - used,
            )
    if not used:
        run.findings.error(
            'nothing-left',
            key,
            f'{folder} of {key} has no image left after filter_cfg and skip_broken; check the folder and filter_cfg.',
        )
    run.findings.lines.append(f'{key}: {number_of(used, "image")}, unlabelled, of {folder}')


def check_files(ann_file: str, folder: str, names: list[str], remedy: str = 'check data_prefix') -> None:
    """Look for images of an annotation file, up to 2000 of them, evenly spread, and at their headers.

    Args:
        ann_file: The annotation file.
        folder: The folder of the images.
        names: Their names in it.
        remedy: What to do about a missing one.

    Raises:
        UserError: Naming one that is missing, and the remedy, or one that is there and no image.
    """
    findings = Findings()
    look_at(findings, Images(ann_file, [os.path.join(folder, name) for name in names], remedy=remedy))
    findings.require_none()
