"""Unlabelled images from a folder, without any annotation file."""

import itertools
import logging
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mmdet.datasets import BaseDetDataset, CocoDataset
from mmengine.logging import print_log
from PIL import Image

from sssd.errors import UserError
from sssd.registry import DATASETS

EXTENSIONS = (
    '.jpg',
    '.jpeg',
    '.jpe',
    '.jfif',
    '.png',
    '.bmp',
    '.dib',
    '.tif',
    '.tiff',
    '.webp',
    '.ppm',
    '.pgm',
    '.pnm',
)
_ORIENTATION = 0x0112  # EXIF tag; values 5 to 8 exchange width and height
_EXIF_FORMATS = ('JPEG', 'MPO', 'PNG', 'TIFF')  # where OpenCV's decoder turns the image


@DATASETS.register_module()
class ImageFolder(BaseDetDataset):
    """All images below a folder, as unlabelled data: every image has ``instances=[]``.

    Sub-folders are searched too, links to folders are followed (a loop of links is left after
    one round), hidden files and folders are passed over. The order is natural (``img2`` before
    ``img10``) and depends on the names alone. Sizes are read from the headers and are those of
    the decoded image, EXIF orientation included.

    The class names default to those of ``CocoDataset``, so that with the same ``metainfo`` as a
    labelled ``CocoDataset`` the two may stand in one ``ConcatDataset``.

    Args:
        data_root: Joined before a relative ``data_prefix`` and ``ann_file``, as in mmdet.
        data_prefix: ``dict(img='folder/')``; without it the folder is ``data_root``.
        ann_file: A text file that names the images to take, one a line, relative to the folder and with or without
            extension, such as ``ImageSets/Main/trainval.txt`` of VOC; without it all are taken.
        skip_broken: Leave out images whose header cannot be read, with a warning, instead of
            raising.
        filter_cfg: ``dict(min_size=32)`` leaves out images whose shorter side is smaller.

    Raises:
        UserError: If the folder is missing or holds no image, for an unreadable header, or if ``ann_file`` names an
            image that is not there.
    """

    METAINFO = CocoDataset.METAINFO

    def __init__(self, *args, data_prefix: dict | None = None, skip_broken: bool = False, **kwargs) -> None:
        self.skip_broken = skip_broken
        super().__init__(*args, data_prefix=data_prefix or dict(img=''), **kwargs)

    def load_data_list(self) -> list[dict]:
        """List the images: ``img_path``, ``img_id``, ``height``, ``width``, ``instances=[]``."""
        folder = self.data_prefix.get('img') or self.data_root
        if not folder or not os.path.isdir(folder):
            raise UserError(
                f'image folder {folder!r} does not exist; check data_root and '
                'data_prefix=dict(img=...) of the ImageFolder.'
            )
        paths = list_images(folder)
        if not paths:
            raise UserError(
                f'image folder {folder} holds no image ({" ".join(EXTENSIONS)}); '
                'check data_root and data_prefix of the ImageFolder.'
            )
        if self.ann_file:
            paths = pick_listed(paths, folder, self.ann_file)
        Image.preinit()  # before the threads: they would race for Pillow's plug-ins
        with ThreadPoolExecutor(8) as pool:
            sizes = list(pool.map(self._size, paths))
        data_list = [
            dict(img_path=path, img_id=index, seg_map_path=None, width=size[0], height=size[1], instances=[])
            for index, (path, size) in enumerate(zip(paths, sizes))
            if size is not None
        ]
        if not data_list:
            raise UserError(f'no image of {folder} can be read; the files are broken.')
        return data_list

    def _size(self, path: str) -> tuple[int, int] | None:
        try:
            return image_size(path)
        except UserError as error:
            if not self.skip_broken:
                raise
            print_log(f'left out: {error}', logger='current', level=logging.WARNING)
            return None

    def filter_data(self) -> list[dict]:
        """Leave out small images in training, as ``CocoDataset`` does."""
        min_size = (self.filter_cfg or {}).get('min_size', 0)
        if self.test_mode:
            return self.data_list
        return [info for info in self.data_list if min(info['width'], info['height']) >= min_size]


def list_images(folder: str) -> list[str]:
    """Paths of all images below ``folder``, in natural order of their names."""
    found, seen = [], set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        # Sorted, so that of two ways to one folder always the same is taken.
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        found += [
            os.path.join(parent, name)
            for name in files
            if not name.startswith('.') and name.lower().endswith(EXTENSIONS)
        ]
    return sorted(found, key=lambda path: _natural_key(os.path.relpath(path, folder)))


def pick_listed(paths: list[str], folder: str, list_file: str) -> list[str]:
    """Those of ``paths``, images below ``folder``, that a text file names, in the order of ``paths``.

    Raises:
        UserError: If the file is missing, names nothing, or names an image that is not among ``paths``.
    """
    if not os.path.isfile(list_file):
        raise UserError(f'list of images {list_file} does not exist; check data_root and ann_file of the ImageFolder.')
    wanted = {line.strip() for line in Path(list_file).read_text().splitlines()} - {''}
    names = [Path(os.path.relpath(path, folder)) for path in paths]
    names = [(name.as_posix(), name.with_suffix('').as_posix()) for name in names]
    absent = wanted.difference(*names)
    if absent or not wanted:
        raise UserError(
            f'{list_file} names {len(wanted)} images, of which {len(absent)} are not in {folder}'
            f'{", such as " + min(absent) if absent else ""}; check data_prefix and ann_file.'
        )
    return [path for path, pair in zip(paths, names) if wanted.intersection(pair)]


def _natural_key(name: str) -> tuple:
    parts = re.split(r'([0-9]+)', Path(name).as_posix())
    return [int(part) if odd else part for odd, part in zip(itertools.cycle((False, True)), parts)], name


def image_size(path: str) -> tuple[int, int]:
    """Width and height of an image as mmcv will decode it, from its header alone.

    Raises:
        UserError: If the header cannot be read.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            if image.format == 'TIFF':  # some versions of Pillow have turned this size already
                width, height = image.tag_v2[256], image.tag_v2[257]
            turned = image.format in _EXIF_FORMATS and image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
    except (OSError, ValueError, SyntaxError, KeyError, Image.DecompressionBombError) as error:
        raise UserError(
            f'image {path} cannot be read ({error}); remove or replace the file, or set skip_broken=True.'
        ) from error
    return (height, width) if turned else (width, height)
