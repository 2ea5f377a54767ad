"""The embedded data set: made on the spot, nothing downloaded, the same on every run.

Five classes told apart by shape, with a hint of colour; object sizes over a decade; see ``toy_scene.py``.
Layout under ``root``::

    images/train/000000.jpg ...   all training images
    images/val/000000.jpg ...
    unlabeled/000123.jpg ...      the unlabelled ones once more (hard links): a folder
                                  for ``sssd.ImageFolder``
    train.json                    all training labels: the fully supervised reference
    labeled.json                  the labelled part of train.json
    unlabeled.json                the other images, without annotations
    val.json

An image depends on (version, seed, split, index, camera) only, never on how many are made.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np

from sssd.datasets.cameras import CAMERAS
from sssd.datasets.json_io import write_json, writing
from sssd.datasets.toy_scene import MAX_SIZE, MIN_SIZE, MIN_VISIBLE, draw_scene
from sssd.datasets.toy_shapes import CLASSES
from sssd.errors import UserError

VERSION = 3
_DESCRIPTION = 'sssd toy data set: shapes'
_SPLITS = ('train', 'val')
_QUALITY = 92
_MARK = '.sssd-toy'  # says that the folder is ours to clean and rewrite


def make_toy(
    root: str | Path,
    num_train: int = 1000,
    num_val: int = 200,
    num_labeled: int = 100,
    seed: int = 0,
    progress: bool = True,
    camera: str = 'plain',
    labeled_below: float = 1.0,
) -> dict[str, Path]:
    """Make the toy data set, or take what already lies there if it is the same one.

    Images are drawn anew only if version, seed, camera or their number differ; with another
    ``num_labeled`` or ``labeled_below`` only the split is rewritten. The labelled images are the
    first ``num_labeled`` of a permutation that depends on ``seed``, of those that
    ``labeled_below`` lets through: smaller sets are part of larger ones. Not meant to be called
    by several processes at once on one ``root``.

    Args:
        root: Folder to write to; made if missing.
        num_train: Training images, labelled and unlabelled together.
        num_val: Validation images.
        num_labeled: Labelled ones among the training images.
        seed: Another seed gives other images and another split.
        progress: Show a progress bar while drawing.
        camera: ``'plain'``, one good camera for all images, or ``'varied'``, another poor one for each
            (``cameras.py``). Both show the same scenes.
        labeled_below: Label only images that show objects, all of them smaller than this: the square root of the
            box's area over that of the image's, which runs from about ``MIN_SIZE`` to ``MAX_SIZE``. 1 takes any
            image, those without objects too.

    Returns:
        Paths of the annotation files by name (``train``, ``val``, ``labeled``, ``unlabeled``)
        and of the folder of unlabelled images (``unlabeled_images``).

    Raises:
        UserError: For impossible numbers, an unknown camera, fewer than ``num_labeled`` images with small objects
            alone, or if ``root`` holds other data.
    """
    _check_numbers(num_train, num_val, num_labeled, seed)
    if not MIN_SIZE < labeled_below <= 1:
        raise UserError(f'labeled_below={labeled_below} is a share of the image, above {MIN_SIZE} and at most 1.')
    if camera not in CAMERAS:
        raise UserError(f'camera={camera!r} is unknown; use one of {", ".join(CAMERAS)}.')
    root = Path(root)
    _claim(root)
    counts = dict(zip(_SPLITS, (num_train, num_val)))
    for split, count in counts.items():
        info = _info(split, count, seed, camera)
        if not _is_made(root, split, info):
            if split == 'train':
                _drop_parts(root)  # of the images that now go
            _make_images(root, split, info, progress)
    _split(root, num_labeled, seed, labeled_below)
    files = {name: root / f'{name}.json' for name in ('train', 'val', 'labeled', 'unlabeled')}
    return dict(files, unlabeled_images=root / 'unlabeled')


def toy_image(seed: int, split: str, index: int, camera: str = 'plain'):
    """Draw one image of the data set: ((H, W, 3) uint8 BGR, list of ``ToyObject``)."""
    rng = np.random.default_rng([VERSION, seed, _SPLITS.index(split), index])
    return draw_scene(rng, camera)


def labeled_order(count: int, seed: int) -> list[int]:
    """Permutation of the training images; the first k of it are the labelled ones.

    Sorted by the SHA-256 of ``"<seed>:<index>"``, which no library version can change.
    """
    return sorted(range(count), key=lambda i: hashlib.sha256(f'{seed}:{i}'.encode()).digest())


def _check_numbers(num_train: int, num_val: int, num_labeled: int, seed: int) -> None:
    if num_train < 2 or num_val < 1:
        raise UserError(
            f'the toy data set needs num_train >= 2 and num_val >= 1, '
            f'but got num_train={num_train} and num_val={num_val}.'
        )
    if not 1 <= num_labeled < num_train:
        raise UserError(
            f'num_labeled={num_labeled} must be at least 1 and less than '
            f'num_train={num_train}, so that some images stay unlabelled.'
        )
    if seed < 0:
        raise UserError(f'seed={seed} is negative; give 0 or more.')


def _info(split: str, count: int, seed: int, camera: str) -> dict:
    """What the images follow from. The plain camera goes without saying, as before there were others."""
    return dict(
        description=_DESCRIPTION,
        version=VERSION,
        seed=seed,
        split=split,
        num_images=count,
        min_size=MIN_SIZE,
        max_size=MAX_SIZE,
        min_visible=MIN_VISIBLE,
        **({} if camera == 'plain' else dict(camera=camera)),
    )


def _claim(root: Path) -> None:
    """Mark ``root`` as ours; UserError if it holds files that are not."""
    if root.is_file() or (root.is_dir() and any(root.iterdir()) and not (root / _MARK).exists()):
        raise UserError(f'{root} holds other files, which the toy data set would overwrite; give a new folder.')
    with writing(root):
        root.mkdir(parents=True, exist_ok=True)
        (root / _MARK).touch()


def _read_info(path: Path) -> dict | None:
    return json.loads(path.read_bytes())['info'] if path.exists() else None


def _is_made(root: Path, split: str, info: dict) -> bool:
    """Whether the split lies there complete: its JSON is written last, so it is the stamp."""
    if _read_info(root / f'{split}.json') != info:
        return False
    folder = root / 'images' / split
    return all((folder / _name(i)).exists() for i in range(info['num_images']))


def _name(index: int) -> str:
    return f'{index:06d}.jpg'


def _make_images(root: Path, split: str, info: dict, progress: bool) -> None:
    folder = root / 'images' / split
    stamp = root / f'{split}.json'
    stamp.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob('*.jpg'):
        old.unlink()
    images, annotations = [], []
    for index in _track(info['num_images'], f'drawing {split} images', progress):
        picture, objects = toy_image(info['seed'], split, index, info.get('camera', 'plain'))
        ok, data = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        (folder / _name(index)).write_bytes(data.tobytes())
        height, width = picture.shape[:2]
        images.append(dict(id=index, file_name=_name(index), width=width, height=height))
        for thing in objects:
            x1, y1, x2, y2 = thing.box
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=index,
                    category_id=thing.label + 1,
                    bbox=[x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)],
                    area=thing.area,
                    iscrowd=0,
                    visible=thing.visible,
                )
            )
    write_json(stamp, _coco(info, images, annotations))


def _coco(info: dict, images: list, annotations: list) -> dict:
    categories = [dict(id=i + 1, name=name) for i, name in enumerate(CLASSES)]
    return dict(info=info, images=images, annotations=annotations, categories=categories)


def _drop_parts(root: Path) -> None:
    """Remove what tells labelled and unlabelled images apart."""
    for name in ('labeled', 'unlabeled'):
        (root / f'{name}.json').unlink(missing_ok=True)
    for old in (root / 'unlabeled').glob('*.jpg'):
        old.unlink()


def _split(root: Path, num_labeled: int, seed: int, labeled_below: float) -> None:
    """Write labeled.json, unlabeled.json and the folder of unlabelled images."""
    coco = json.loads((root / 'train.json').read_text())
    info = dict(
        coco['info'], num_labeled=num_labeled, **({} if labeled_below == 1 else dict(labeled_below=labeled_below))
    )
    labeled_info, unlabeled_info = (dict(info, split=name) for name in ('labeled', 'unlabeled'))
    links = root / 'unlabeled'
    if (
        _read_info(root / 'labeled.json') == labeled_info
        and _read_info(root / 'unlabeled.json') == unlabeled_info
        and len(list(links.glob('*.jpg'))) == len(coco['images']) - num_labeled
    ):
        return
    order = labeled_order(len(coco['images']), seed)
    if labeled_below < 1:
        small = _images_below(coco, labeled_below)
        if len(small) < num_labeled:
            raise UserError(
                f'{len(small)} of the {len(coco["images"])} training images in {root} have objects below '
                f'{labeled_below:g} alone; ask for at most so many labelled ones (num_labeled), or for '
                'more images (num_train).'
            )
        order = [index for index in order if index in small]
    chosen = set(order[:num_labeled])
    images = {True: [], False: []}
    for image in coco['images']:
        images[image['id'] in chosen].append(image)
    annotations = [thing for thing in coco['annotations'] if thing['image_id'] in chosen]
    (root / 'unlabeled.json').unlink(missing_ok=True)
    _link_folder(root / 'images' / 'train', links, [im['file_name'] for im in images[False]])
    write_json(root / 'labeled.json', _coco(labeled_info, images[True], annotations))
    write_json(root / 'unlabeled.json', _coco(unlabeled_info, images[False], []))


def _images_below(coco: dict, limit: float) -> set[int]:
    """The images with objects, all of them smaller than ``limit``."""
    areas = {image['id']: image['width'] * image['height'] for image in coco['images']}
    largest: dict[int, float] = {}
    for thing in coco['annotations']:
        width, height = thing['bbox'][2:]
        share = (width * height / areas[thing['image_id']]) ** 0.5
        largest[thing['image_id']] = max(share, largest.get(thing['image_id'], 0.0))
    return {image for image, share in largest.items() if share < limit}


def _link_folder(source: Path, target: Path, names: list[str]) -> None:
    """Fill ``target`` with hard links, or copies where the file system has no links."""
    target.mkdir(exist_ok=True)
    for old in target.glob('*.jpg'):
        old.unlink()
    for name in names:
        try:
            os.link(source / name, target / name)
        except OSError:
            shutil.copyfile(source / name, target / name)


def _track(count: int, text: str, progress: bool):
    if not progress:
        return range(count)
    from rich.progress import track

    return track(range(count), description=text)
