"""Configs for a user's own labelled and unlabelled images, written from what lies on the disk."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sssd.data.image_folder import list_images
from sssd.datasets.json_io import read_coco
from sssd.datasets.labels import Labels
from sssd.errors import UserError
from sssd.places import brought

#: To each detector its config of COCO 10 %, where its classes are counted, and the learning rate of its baseline.
DETECTORS = {
    'faster-rcnn_r50': (
        'faster-rcnn_r50_fpn_sed_180k_coco-10p.py',
        'roi_head=dict(bbox_head=dict(num_classes={}))',
        0.02,
    ),
    'retinanet_r50': ('retinanet_r50_fpn_sed_180k_coco-10p.py', 'bbox_head=dict(num_classes={})', 0.01),
    'retinanet_r18': ('retinanet_r18_fpn_sed_180k_coco-10p.py', 'bbox_head=dict(num_classes={})', 0.01),
    'fcos_r50': ('fcos_r50_fpn_gn-head_sed_180k_coco-10p.py', 'bbox_head=dict(num_classes={})', 0.01),
}
#: The paper's learning rate for SED, and the labelled images of a step that we take it to be for.
LR, LABELED_IMAGES = 0.01, 16

SED = """\
# SED with {detector} on one's own labelled and unlabelled images; written by `python -m sssd init`.
_base_ = {base!r}

classes = {classes!r}
metainfo = dict(classes=classes)
labeled = {{**_base_.labeled_dataset, 'data_root': '', 'metainfo': metainfo,
           'ann_file': {labeled!r}, 'data_prefix': dict(img={labeled_images!r})}}
unlabeled = {unlabeled_dataset}
batch_size = {batch}  # labelled images of a GPU in one step; as many unlabelled ones come to them
train_dataloader = dict(
    batch_size=2 * batch_size, num_workers={workers}, sampler=dict(batch_size=2 * batch_size),
    dataset=dict(datasets=[labeled, unlabeled]))
val_dataloader = dict(dataset=dict(
    data_root='', metainfo=metainfo, ann_file={val!r}, data_prefix=dict(img={val_images!r})))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file={val!r})
test_evaluator = val_evaluator
model = dict(detector=dict({num_classes}))

# The paper's learning rate, 0.01, which we take to be for 16 labelled images, in proportion to the {total} of a step on
# {gpus} GPU(s). Clipping is ours.
max_iters = {iters}
train_cfg = dict(max_iters=max_iters, val_interval={interval})
optim_wrapper = dict(optimizer=dict(lr={lr:g}), clip_grad=dict(max_norm=10))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end={warmup}),
    dict(type='MultiStepLR', by_epoch=False, begin=0, end=max_iters, milestones=[{first}, {second}], gamma=0.1)]
auto_scale_lr = dict(base_batch_size={mixed})
default_hooks = dict(checkpoint=dict(interval={interval}))
"""
FOLDER = """dict(type='sssd.ImageFolder', metainfo=metainfo, data_prefix=dict(img={unlabeled!r}),
                 pipeline=_base_.unsup_pipeline)"""
LISTED = """{{**_base_.unlabeled_dataset, 'data_root': '', 'metainfo': metainfo,
             'ann_file': {unlabeled!r}, 'data_prefix': dict(img={unlabeled_images!r})}}"""
SUPERVISED = """\
# The baseline of sed.py: the labelled images alone, with the same moving average.
_base_ = './sed.py'
train_dataloader = dict(_delete_=True, **{{**_base_.supervised_dataloader, 'batch_size': {batch}, 'dataset': {{
    **_base_.labeled, 'pipeline': _base_.sup_only_pipeline}}}})
custom_hooks = [
    dict(type='sssd.LambdaScheduleHook', lambda_s=0.0, lambda_d=0.0),
    dict(type='sssd.EMATeacherHook', alpha=_base_.alpha)]
auto_scale_lr = dict(base_batch_size={total})
optim_wrapper = dict(optimizer=dict(lr={supervised_lr:g}))  # the paper's {supervised_rate:g} for 16 images
"""
STUDY = """\
# Both, one after the other in one process, and a table: `python -m sssd study` with this file.
name = {name!r}
seeds = [0]
runs = dict(few=dict(config={supervised!r}), sed=dict(config={sed!r}))
"""


@dataclass(frozen=True)
class OwnData:
    """Where a user's images and labels are.

    Attributes:
        labeled: COCO file of the labelled images.
        labeled_images: Their folder.
        unlabeled: Folder of the unlabelled images, or a COCO file that lists them.
        val: COCO file of the images to evaluate on.
        val_images: Their folder.
        unlabeled_images: Folder of the images that a COCO file ``unlabeled`` lists.
    """

    labeled: str
    labeled_images: str
    unlabeled: str
    val: str
    val_images: str
    unlabeled_images: str = ''


def boxes_by_class(labels: Labels) -> dict[str, int]:
    """Boxes of each class that has any, in the order of the categories, by which mmdet numbers classes.

    Raises:
        UserError: If a class is named twice or there is no box.
    """
    names = {category['id']: category['name'] for category in labels.coco['categories']}
    twice = sorted(name for name in set(names.values()) if list(names.values()).count(name) > 1)
    if twice:
        raise UserError(f'{labels.source} has several categories called {twice[0]!r}: give each a name of its own.')
    counts = Counter(names.get(thing['category_id']) for thing in labels.coco['annotations'])
    found = {name: counts[name] for name in names.values() if counts[name]}
    if not found:
        raise UserError(f'{labels.source} has no box of its categories: give a labelled set.')
    return found


def check_apart(val: Labels, trained_with: dict[str, Sequence[str]]) -> None:
    """Refuse images that are evaluated on and trained with.

    Args:
        val: The images to evaluate on.
        trained_with: Real paths of the others, by what they are of.

    Raises:
        UserError: Naming one of them.
    """
    held_out = set(real_paths(val.coco['images'], val.images))
    for what, paths in trained_with.items():
        shared = sorted(held_out.intersection(paths))
        if shared:
            raise UserError(
                f'{len(shared)} images of {val.source} are also in {what}, such as {shared[0]}: take '
                'them out of one of the two, or the result is not one on unseen images.'
            )


def unlabeled_paths(unlabeled: str, images: str) -> Sequence[str]:
    """Real paths of unlabelled images: those of a folder, or of a COCO file over the folder ``images``."""
    if images:
        return real_paths(read_coco(unlabeled, annotations=False)['images'], images)
    folder_of = cache(os.path.realpath)  # there may be a million images
    return [
        os.path.realpath(path)
        if os.path.islink(path)
        else os.path.join(folder_of(os.path.dirname(path)), os.path.basename(path))
        for path in list_images(unlabeled)
    ]


def real_paths(images: Sequence[dict], folder: str) -> list[str]:
    """Real paths of images that a COCO dict lists."""
    return [os.path.realpath(os.path.join(folder, image['file_name'])) for image in images]


def own_configs(
    data: OwnData, classes: tuple[str, ...], folder: Path, detector: str, iters: int, batch: int, gpus: int
) -> dict[str, str]:
    """Texts of ``sed.py``, ``supervised.py`` and, for one GPU, ``study.py``, by file name.

    Learning rates are the paper's in proportion to the labelled images of a step; they fall after 70 % and 90 % of the
    iterations. A study trains in one process, so there is none for several GPUs.

    Args:
        data: The images and labels.
        classes: Names of the classes, in the order of the labelled file.
        folder: Where the configs will be.
        detector: A key of :data:`DETECTORS`.
        iters: Iterations.
        batch: Labelled images of a GPU in one step.
        gpus: Number of GPUs.
    """
    base, num_classes, supervised_rate = DETECTORS[detector]
    total = batch * gpus
    values = dict(
        vars(data),
        detector=detector,
        classes=classes,
        base=name_of(f'sed/{base}', folder),
        batch=batch,
        gpus=gpus,
        workers=min(2 * batch, os.cpu_count() or 1, 8),
        total=total,
        mixed=2 * total,
        iters=iters,
        lr=LR * total / LABELED_IMAGES,
        supervised_lr=supervised_rate * total / LABELED_IMAGES,
        supervised_rate=supervised_rate,
        interval=max(iters // 10, min(500, iters)),
        warmup=max(min(500, iters // 20), 2),
        first=iters * 7 // 10,
        second=iters * 9 // 10,
        num_classes=num_classes.format(len(classes)),
        name=folder.resolve().name,
        supervised=(folder / 'supervised.py').as_posix(),
        sed=(folder / 'sed.py').as_posix(),
    )
    values['unlabeled_dataset'] = (LISTED if data.unlabeled_images else FOLDER).format(**values)
    texts = {'sed.py': SED, 'supervised.py': SUPERVISED, **({'study.py': STUDY} if gpus == 1 else {})}
    return {name: text.format(**values) for name, text in texts.items()}


def name_of(config: str, folder: Path) -> str:
    """A config of this project as ``_base_`` names it from ``folder``.

    A relative path within a checkout, as MMEngine alone reads it; elsewhere its name in the package, which the commands
    of sssd look up.
    """
    here = Path(brought(config)).resolve()
    checkout = here.parents[len(Path(config).parts)]
    if (checkout / 'pyproject.toml').is_file() and folder.resolve().is_relative_to(checkout):
        return Path(os.path.relpath(here, folder.resolve())).as_posix()
    return config
