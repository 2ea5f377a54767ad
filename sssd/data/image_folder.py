"""Unlabelled images from a folder, without any annotation file."""

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from mmdet.datasets import BaseDetDataset, CocoDataset
from mmengine.dist import all_gather_object, get_dist_info
from mmengine.logging import print_log

from sssd.errors import UserError
from sssd.images import EXTENSIONS, image_size
from sssd.listing import Listing, kept_as, list_folder, measure, passed_over
from sssd.registry import DATASETS

__all__ = ['EXTENSIONS', 'ImageFolder', 'image_size', 'list_images', 'passed_over', 'pick_listed']

#: So many broken images are named, one a line.
_TOLD = 20


@DATASETS.register_module()
class ImageFolder(BaseDetDataset):
    """All images below a folder, as unlabelled data: every image has ``instances=[]``.

    Sub-folders are searched too, links to folders are followed (a loop of links is left after
    one round), hidden files and folders, and files that are no images, are passed over; how many
    is in the log, and :func:`passed_over` tells it. Of a large folder the list is kept next to the
    work directory (``sssd.listing``): later starts only look whether the files are the same.

    The order is natural (``img2`` before ``img10``) and depends on the names alone. Sizes are read from the headers and
    are those of the decoded image, EXIF orientation included.

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

    #: The list is a few arrays, mapped from a file where the folder is large: there is nothing to serialise.
    serialize_data = property(lambda self: False, lambda self, value: None)

    def __init__(self, *args, data_prefix: dict | None = None, skip_broken: bool = False, **kwargs) -> None:
        self.skip_broken = skip_broken
        super().__init__(*args, data_prefix=data_prefix or dict(img=''), **kwargs)

    def load_data_list(self) -> 'ImageInfos':
        """List the images: ``img_path``, ``img_id``, ``height``, ``width``, ``instances=[]``."""
        folder = self.data_prefix.get('img') or self.data_root
        if not folder or not os.path.isdir(folder):
            raise UserError(
                f'image folder {folder!r} does not exist; check data_root and '
                'data_prefix=dict(img=...) of the ImageFolder.'
            )
        listing = measured_once(folder)
        if not len(listing):
            raise UserError(
                f'image folder {folder} holds no image ({" ".join(EXTENSIONS)}); '
                'check data_root and data_prefix of the ImageFolder.'
            )
        rows = range(len(listing))
        if self.ann_file:
            rows = _rows_listed(listing.names(), folder, self.ann_file)
        rows = np.array(rows, np.int32)
        infos = ImageInfos(listing, rows, np.arange(len(rows), dtype=np.int32))
        self._tell_passed_over(listing)
        infos = infos.take(self._readable(infos))
        if not len(infos):
            raise UserError(f'no image of {folder} can be read; the files are broken.')
        return infos

    def _readable(self, infos: 'ImageInfos') -> np.ndarray:
        """Which images have a size; what is wrong with the first others is raised, or logged if they are left out."""
        whole = infos.sizes.min(1) > 0
        for index in np.flatnonzero(~whole)[:_TOLD].tolist():
            path = infos[index]['img_path']
            try:
                image_size(path)
            except UserError as error:
                if not self.skip_broken:
                    raise UserError(f'{str(error).rstrip(".")}, or set skip_broken=True.') from error
                print_log(f'left out: {error}', logger='current', level=logging.WARNING)
        if (~whole).sum() > _TOLD:
            print_log(f'left out: {(~whole).sum()} images in all', logger='current', level=logging.WARNING)
        return whole

    def _tell_passed_over(self, listing: Listing) -> None:
        told = [f'{count} {reason}' for reason, count in sorted(listing.about['passed'].items())]
        if told:
            print_log(f'{listing.folder}: no images and passed over: {", ".join(told)}', logger='current')

    def filter_data(self) -> 'ImageInfos':
        """Leave out small images in training, as ``CocoDataset`` does."""
        min_size = (self.filter_cfg or {}).get('min_size', 0)
        if self.test_mode:
            return self.data_list
        return self.data_list.take(self.data_list.sizes.min(1) >= min_size)

    def image_sizes(self) -> np.ndarray:
        """(n, 2), width and height of each image, without a look at one by one."""
        if not self._fully_initialized:
            self.full_init()
        return self.data_list.sizes

    def _get_unserialized_subset(self, indices: Sequence[int] | int) -> 'ImageInfos':
        if isinstance(indices, int):
            return self.data_list.take(slice(indices) if indices >= 0 else slice(indices, None))
        return self.data_list.take(np.asarray(indices, np.int64))


class ImageInfos(Sequence):
    """What an :class:`ImageFolder` says of each image, made when it is asked for.

    Args:
        listing: The images of the folder.
        rows: (n,), which of them these are.
        ids: (n,), their ``img_id``.
    """

    def __init__(self, listing: Listing, rows: np.ndarray, ids: np.ndarray) -> None:
        self.listing, self.rows, self.ids = listing, rows, ids

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict:
        row = int(self.rows[index])
        width, height = self.listing.sizes[row].tolist()
        path, number = self.listing[row], int(self.ids[index])
        return dict(img_path=path, img_id=number, seg_map_path=None, width=width, height=height, instances=[])

    @property
    def sizes(self) -> np.ndarray:
        """(n, 2), width and height."""
        return self.listing.sizes[self.rows]

    def take(self, which: np.ndarray | slice) -> 'ImageInfos':
        """Some of them, by mask, numbers or slice."""
        return ImageInfos(self.listing, self.rows[which], self.ids[which])


def measured_once(folder: str) -> Listing:
    """The images of a folder and their sizes, looked through by the first process of each machine alone.

    The others wait for it and map what it wrote; where it wrote nothing (few images, or no room) each looks by itself.

    Raises:
        UserError: On all processes, for what one of them met.
    """
    rank, processes = get_dist_info()
    if processes == 1:
        return measure(folder)
    listing, met = None, None
    if int(os.environ.get('LOCAL_RANK', rank)) == 0:
        try:
            listing = measure(folder)
        except UserError as error:
            met = str(error)
        except Exception as error:  # the others wait for this process, whatever it met
            met = f'{folder} cannot be looked through ({error!r}): check the folder and the disk.'
    told = all_gather_object((met, listing.about['fingerprint'] if listing is not None and listing.file else None))
    met = [sentence for sentence, _ in told if sentence]
    if met:
        raise UserError(met[0])
    return listing if listing is not None else kept_as(folder, [mark for _, mark in told if mark]) or measure(folder)


def list_images(folder: str) -> Sequence[str]:
    """Paths of all images below ``folder``, in natural order of their names."""
    return list_folder(folder)


def pick_listed(paths: Sequence[str], folder: str, list_file: str) -> list[str]:
    """Those of ``paths``, images below ``folder``, that a text file names, in the order of ``paths``.

    Raises:
        UserError: If the file is missing, names nothing, or names an image that is not among ``paths``.
    """
    names = (path[len(os.path.join(folder, '')) :] for path in paths)
    return [paths[row] for row in _rows_listed(names, folder, list_file)]


def _rows_listed(names: Iterable[str], folder: str, list_file: str) -> list[int]:
    """Which of ``names``, relative to ``folder``, a text file names.

    A line that is no name as it stands may be one with blanks around it, or one without its extension.
    """
    if not os.path.isfile(list_file):
        raise UserError(f'list of images {list_file} does not exist; check data_root and ann_file of the ImageFolder.')
    names = list(names)
    known = set(names)
    wanted = {line if line in known else line.strip() for line in _lines_of(list_file)}
    stems, without = [os.path.splitext(name)[0] for name in names], wanted - known
    absent = without.difference(stems)
    if absent or not wanted:
        raise UserError(
            f'{list_file} names {len(wanted)} images, of which {len(absent)} are not in {folder}'
            f'{", such as " + min(absent) if absent else ""}; check data_prefix and ann_file.'
        )
    return [row for row, name in enumerate(names) if name in wanted or stems[row] in without]


def _lines_of(list_file: str) -> list[str]:
    """The lines of a text file that are not blank, ended by line feeds alone: names may hold any other character.

    Raises:
        UserError: If it is no text in UTF-8.
    """
    try:
        text = Path(list_file).read_bytes().decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise UserError(
            f'{list_file} is no text in UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8.'
        ) from error
    return [line.rstrip('\r') for line in text.split('\n') if line.strip()]
