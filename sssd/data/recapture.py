# Copyright (c) sssd contributors. Licensed under the Apache License 2.0.
"""A data set as other cameras see it: the same scenes and labels, another camera for every image."""
import hashlib
from pathlib import Path
from typing import Union

import cv2
import numpy as np

from sssd.errors import UserError

from .cameras import CAMERAS
from .json_io import read_coco, write_json

VERSION = 1
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 92]


def recapture(ann_file: Union[str, Path], img_dir: Union[str, Path], out_dir: Union[str, Path],
              camera: str = 'varied', seed: int = 0, progress: bool = True) -> Path:
    """Write a COCO data set as other cameras see it, or take what already lies there if it is the same one.

    The camera of an image follows from ``seed`` and the image's file name alone, so several annotation files of one
    folder may share ``out_dir``.

    Args:
        ann_file: COCO annotation file.
        img_dir: Folder that its file names start from.
        out_dir: Gets ``images/``, of the same file names, and the annotation file under its own name.
        camera: One of ``CAMERAS``.
        seed: Another seed gives other cameras.
        progress: Show a progress bar.

    Returns:
        Path of the new annotation file; its ``info`` says what it was made from.

    Raises:
        UserError: If the file is not COCO, an image is missing or cannot be read or written, the camera is unknown, or
            ``out_dir`` is where the data set lies itself.
    """
    ann_file, img_dir, out_dir = Path(ann_file), Path(img_dir), Path(out_dir)
    if camera not in CAMERAS:
        raise UserError(f'camera={camera!r} is unknown; use one of {", ".join(CAMERAS)}.')
    target = out_dir / 'images'
    if target.resolve() == img_dir.resolve() or out_dir.resolve() == ann_file.parent.resolve():
        raise UserError(f'{out_dir} holds the data set itself, whose files would be replaced; give another folder.')
    coco = read_coco(ann_file)
    source = dict(file=ann_file.name, sha256=hashlib.sha256(ann_file.read_bytes()).hexdigest())
    made = dict(version=VERSION, camera=camera, seed=seed, source=source)
    stamp = out_dir / ann_file.name
    names = [image['file_name'] for image in coco['images']]
    if stamp.is_file() and (read_coco(stamp).get('info') or {}).get('recapture') == made and all(
            (target / name).is_file() for name in names):
        return stamp
    stamp.unlink(missing_ok=True)
    for name in _track(names, progress):
        _write(target / name, CAMERAS[camera](_read(img_dir / name, ann_file), camera_of(name, seed)))
    info = coco.get('info') if isinstance(coco.get('info'), dict) else {}
    write_json(stamp, dict(coco, info=dict(info, recapture=made)))
    return stamp


def camera_of(name: str, seed: int) -> np.random.Generator:
    """The random numbers that an image's camera is made of: the SHA-256 of ``"<seed>:<file name>"`` seeds them."""
    return np.random.default_rng(list(hashlib.sha256(f'{seed}:{name}'.encode()).digest()))


def _read(path: Path, ann_file: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    if image is None:
        what = 'cannot be read as an image' if path.is_file() else 'does not exist'
        raise UserError(f'{path}, which {ann_file} lists, {what}; correct the folder of images or the file.')
    return image


def _write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = _QUALITY if path.suffix.lower() in ('.jpg', '.jpeg') else []
    try:
        ok, data = cv2.imencode(path.suffix, image, options)
    except cv2.error as error:
        raise UserError(f'{path}: OpenCV writes no images of the kind {path.suffix!r}; use JPEG or PNG.') from error
    if not ok:
        raise UserError(f'{path}: OpenCV could not encode the image; use JPEG or PNG.')
    path.write_bytes(data.tobytes())


def _track(names: list, progress: bool):
    if not progress:
        return names
    from rich.progress import track
    return track(names, description='taking the pictures again')
