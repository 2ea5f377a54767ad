"""A data set under domain shift: the same scenes and labels, another camera for every image."""

import hashlib
import json
import os
from pathlib import Path

import cv2
import numpy as np

from sssd.datasets.cameras import CAMERAS
from sssd.datasets.json_io import read_coco, refuse_others, write_json, write_new_json
from sssd.errors import UserError
from sssd.whole_files import replacing

VERSION = 1
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 92]
_MARK = '.sssd-recapture.json'  # says that the folder is ours to rewrite, and by which camera


def recapture(
    ann_file: str | Path,
    img_dir: str | Path,
    out_dir: str | Path,
    camera: str = 'varied',
    seed: int = 0,
    progress: bool = True,
) -> Path:
    """Write a COCO data set as other cameras see it, or take what already lies there if it is the same one.

    The camera of an image follows from ``seed`` and the image's file name alone. So several annotation files of one
    ``img_dir`` may share an ``out_dir``, with one camera and seed. Images are read as mmcv reads them, and written
    upright, with three channels of eight bits. An image that is there already is not made again: after a change of the
    images themselves, give a new folder.

    Args:
        ann_file: COCO annotation file, labelled or not.
        img_dir: Folder that its file names start from.
        out_dir: Gets ``images/``, of the same file names, and the annotation file under its own name.
        camera: One of ``CAMERAS``.
        seed: Another seed gives other cameras.
        progress: Show a progress bar.

    Returns:
        Path of the new annotation file; its ``info`` says what it was made from.

    Raises:
        UserError: If the file is not COCO, an image is missing, lies outside ``img_dir`` or cannot be read or written,
            the camera is unknown, or ``out_dir`` holds other files, images of another folder, camera or seed, or an
            annotation file of this name with another content.
    """
    ann_file, img_dir, out_dir = Path(ann_file), Path(img_dir), Path(out_dir)
    if camera not in CAMERAS:
        raise UserError(f'camera={camera!r} is unknown; use one of {", ".join(CAMERAS)}.')
    coco = read_coco(ann_file, annotations=False)
    names = [image['file_name'] for image in coco['images']]
    _check_names(names, ann_file, img_dir)
    how = dict(version=VERSION, camera=camera, seed=seed, img_dir=os.path.relpath(img_dir, out_dir))
    _claim(out_dir, how)
    stamp, content = out_dir / ann_file.name, _content(coco, ann_file, camera, seed)
    refuse_others([(stamp, content)])
    for name in _track(names, progress):
        target = out_dir / 'images' / name
        if not target.is_file():
            _write(target, CAMERAS[camera](_read(img_dir / name, ann_file), camera_of(name, seed)))
    write_new_json({stamp: content})
    return stamp


def _content(coco: dict, ann_file: Path, camera: str, seed: int) -> dict:
    """The new annotation file: the same, and what it was made from."""
    info = coco.get('info') if isinstance(coco.get('info'), dict) else {}
    source = dict(file=ann_file.name, sha256=hashlib.sha256(ann_file.read_bytes()).hexdigest())
    made = dict(version=VERSION, camera=camera, seed=seed, source=source)
    if 'recapture' in info:
        source['recapture'] = info['recapture']
    return dict(coco, info=dict(info, recapture=made))


def camera_of(name: str, seed: int) -> np.random.Generator:
    """The random numbers that an image's camera is made of: the SHA-256 of ``"<seed>:<file name>"`` seeds them."""
    return np.random.default_rng(list(hashlib.sha256(f'{seed}:{name}'.encode()).digest()))


def _check_names(names: list[str], ann_file: Path, img_dir: Path) -> None:
    """Before anything is written: every image is there, and below ``img_dir``, or it would be written elsewhere."""
    for name in names:
        if not isinstance(name, str) or Path(name).is_absolute() or '..' in Path(name).parts:
            raise UserError(
                f'{ann_file}: the file_name {name!r} does not lie below the folder of images; write it '
                'relative to that folder.'
            )
        if not (img_dir / name).is_file():
            raise UserError(
                f'{img_dir / name}, which {ann_file} lists, does not exist; correct the folder of images or the file.'
            )


def _claim(out_dir: Path, how: dict) -> None:
    """Mark ``out_dir`` as ours; UserError if it holds other files, or images that were made otherwise."""
    mark = out_dir / _MARK
    if out_dir.is_file() or (out_dir.is_dir() and any(out_dir.iterdir()) and not mark.is_file()):
        raise UserError(f'{out_dir} holds other files, which might be replaced; give a new folder.')
    if mark.is_file():
        there = json.loads(mark.read_text())
        other = [key for key in how if there.get(key) != how[key]]
        if other:
            raise UserError(
                f'{out_dir} holds images with {other[0]}={there.get(other[0])!r}, not {how[other[0]]!r}; '
                'give a new folder, or remove this one.'
            )
    else:
        write_json(mark, how)


def _read(path: Path, ann_file: Path) -> np.ndarray:
    try:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        raise UserError(
            f'{path}, which {ann_file} lists, cannot be read as an image; repair it or take it off the file.'
        )
    return image


def _write(path: Path, image: np.ndarray) -> None:
    """Write an image whole or not at all."""
    options = _QUALITY if path.suffix.lower() in ('.jpg', '.jpeg') else []
    try:
        ok, data = cv2.imencode(path.suffix, image, options)
    except cv2.error:
        ok = False
    if not ok:
        raise UserError(f'{path}: OpenCV cannot write an image of the kind {path.suffix!r}; use JPEG or PNG.')
    with replacing(path, to_disk=False) as part:
        part.write_bytes(data.tobytes())


def _track(names: list, progress: bool):
    if not progress:
        return names
    from rich.progress import track

    return track(names, description='taking the pictures again')
