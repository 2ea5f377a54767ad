"""The data sets of a dataloader: where they lie, how they are loaded, and which of them have labels that are used."""

import os
from collections.abc import Iterator, Mapping

from mmdet.registry import DATASETS

from sssd.checks.findings import Findings
from sssd.checks.labels import loads_boxes, steps_of, type_name
from sssd.data.sampler import split_batch
from sssd.errors import UserError

#: The branches of SED that get unlabelled images.
UNLABELLED = ('unsup_teacher', 'unsup_student')


def leaves(key: str, dataset) -> Iterator[tuple[str, dict]]:
    """The data sets inside wrappers, each with its key in the config; what is no dict is passed over."""
    if not isinstance(dataset, Mapping):  # None, or what an option that does not fit has made of one
        return
    if dataset.get('datasets'):
        for number, inner in enumerate(dataset['datasets']):
            yield from leaves(f'{key}.datasets[{number}]', inner)
    elif 'dataset' in dataset:
        yield from leaves(f'{key}.dataset', dataset['dataset'])
    else:
        yield key, dataset


def labelled_keys(sets: list[tuple[str, dict]], first: str | None) -> set[str]:
    """Keys of the data sets whose labels are used.

    Args:
        sets: The data sets with their keys.
        first: Where a sampler mixes labelled and unlabelled sources, the key of its first one, which is labelled unless
            another pipeline alone loads boxes and gives them to a supervised branch. None: all are labelled.
    """
    if first is None:
        return {key for key, _ in sets}
    found = {key for key, dataset in sets if is_supervised(dataset)}
    return found or {key for key, _ in sets if key.startswith(first)}


def is_supervised(dataset: dict) -> bool:
    """Whether a pipeline loads boxes, and not for branches of unlabelled images alone."""
    steps = list(steps_of(dataset.get('pipeline') or []))
    branches = [step for step in steps if type_name(step) == 'MultiBranch']
    withheld = any(step.get(name) for step in branches for name in UNLABELLED) and not any(
        step.get('sup') for step in branches
    )
    return any(map(loads_boxes, steps)) and not withheld


def check_sampler(findings: Findings, where: str, loader: dict) -> bool:
    """Look at a sampler of several sources; whether there is one that mixes labelled and unlabelled ones."""
    sampler = loader.get('sampler') or {}
    ratio = sampler.get('source_ratio')
    if ratio is None:
        return False
    if sampler.get('batch_size') != loader.get('batch_size'):
        findings.error(
            'sampler',
            where,
            f'{where}.batch_size={loader.get("batch_size")} and '
            f'{where}.sampler.batch_size={sampler.get("batch_size")} must be equal, '
            'or batches mix their sources wrongly.',
        )
    if loader.get('batch_sampler'):
        findings.error(
            'sampler',
            where,
            f'{where}.batch_sampler ({type_name(loader["batch_sampler"])}) makes batches of its own, in which '
            f'{where}.sampler.source_ratio does not hold: set {where}.batch_sampler to None, as the sampler itself '
            'keeps images of one orientation together.',
        )
    sets = loader['dataset'].get('datasets')
    if sets is None or len(sets) != len(ratio):
        findings.error(
            'sampler',
            where,
            f'{where}.sampler.source_ratio={list(ratio)} needs a ConcatDataset of '
            f'{len(ratio)} data sets in {where}.dataset.',
        )
        return True
    try:
        split_batch(loader.get('batch_size') or 0, ratio)
    except UserError as error:
        findings.error('sampler', where, str(error))
    return True


def join(dataset: dict, path: str) -> str:
    """A path of a data set's config below its ``data_root``."""
    root = dataset.get('data_root') or ''
    return path if os.path.isabs(path) else os.path.join(root, path)


def class_of(dataset: dict):
    """The class of a data set's config; None if it is not registered."""
    kind = dataset.get('type')
    return DATASETS.get(kind) if isinstance(kind, str) else kind


def loading_steps(dataset: dict) -> list[dict]:
    """The steps of a pipeline that load images."""
    return [
        step
        for step in steps_of(dataset.get('pipeline') or [])
        if type_name(step) in ('LoadImageFromFile', 'LoadImage')
    ]


def decodes_by_opencv(dataset: dict) -> bool:
    """Whether images are loaded by mmcv's default backend, and one that is broken ends the training."""
    loads = loading_steps(dataset)
    return bool(loads) and all(
        step.get('imdecode_backend', 'cv2') == 'cv2' and not step.get('ignore_empty') for step in loads
    )


def turns_by_exif(dataset: dict) -> bool:
    """Whether images are turned as their EXIF tag says."""
    flags = [step.get('color_type', 'color') for step in loading_steps(dataset)]
    return not any(flag == 'unchanged' or flag.endswith('ignore_orientation') for flag in flags)


def scales_deep(dataset: dict) -> bool:
    """Whether images of more than 8 bits are scaled."""
    loads = loading_steps(dataset)
    return bool(loads) and all(type_name(step) == 'LoadImage' for step in loads)
