"""Listings kept in files, so that a folder is read once and not at each start of each process.

A file is taken if the folder, looked through again, has the same images with the same times and numbers of bytes.
Otherwise the sizes of those images are taken over that are the same, and only the others are opened.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path

import numpy as np
from PIL import Image

from sssd.errors import UserError
from sssd.images import image_size, natural_key
from sssd.listing.folder import Scan, scan
from sssd.listing.names import BROKEN, UNKNOWN, Listing
from sssd.locks import directory_lock

#: Folders with fewer images are read anew each time, and leave no file behind.
WORTH_KEEPING = 2000
WORK_DIRS, NAME = 'work_dirs', '.listings'
#: A folder that changed so shortly (ns) before the look may have changed again within one tick of its clock.
_SETTLED = 2_000_000_000
_BLOCK = 256
_place = Path(WORK_DIRS, NAME)


def keep_beside(work_dir: str) -> None:
    """Keep listings next to a work directory from now on; for those below ``work_dirs``, directly below that."""
    global _place
    inside = Path(work_dir).resolve().is_relative_to(Path(WORK_DIRS).resolve())
    _place = Path(WORK_DIRS if inside else Path(work_dir).parent, NAME).resolve()


def list_folder(folder: str) -> Listing:
    """The images of a folder; of their sizes those that are known.

    Where a kept listing is younger than the last change of any folder, the files themselves are not looked at.

    Raises:
        UserError: If the folder cannot be read.
    """
    kept = Listing.load(_file_of(folder), folder)
    if kept is not None and _folders_are_the_same(kept):
        return kept
    return _listed(folder, scan(folder), kept)


def measure(folder: str) -> Listing:
    """The images of a folder with all their sizes; a broken header has the size :data:`~sssd.listing.names.BROKEN`.

    One process at a time works on a folder's listing, so others that wait for it find all done.

    Raises:
        UserError: If the folder cannot be read.
    """
    found = scan(folder)
    if len(found.names) < WORTH_KEEPING:
        return _with_sizes(_listed(folder, found, None))
    file = _file_of(folder)
    try:
        with directory_lock(file.parent):
            return _with_sizes(_listed(folder, found, Listing.load(file, folder)), file)
    except OSError:  # no permission, no room
        return _with_sizes(_listed(folder, found, None))


def kept_as(folder: str, fingerprints: Sequence[str]) -> Listing | None:
    """The kept listing of a folder if it is one of these, as another process has just found or left it."""
    kept = Listing.load(_file_of(folder), folder)
    return kept if kept is not None and kept.about['fingerprint'] in fingerprints else None


def _file_of(folder: str) -> Path:
    key = blake2b(os.fsencode(os.path.realpath(folder)), digest_size=12).hexdigest()
    return _place / f'{key}.listing'


def _folders_are_the_same(kept: Listing) -> bool:
    """Whether no folder changed since; what changed just before the listing was made counts as changed."""
    latest = kept.about['scanned'] - _SETTLED
    try:
        return all(
            changed < latest and os.stat(os.path.join(kept.folder, place)).st_mtime_ns == changed
            for place, changed in kept.about['folders'].items()
        )
    except OSError:
        return False


def _listed(folder: str, found: Scan, kept: Listing | None) -> Listing:
    """The listing of what was found: the kept one if nothing changed, else a new one with the sizes that still hold."""
    if kept is not None and kept.about['fingerprint'] == found.fingerprint:
        return kept
    order = sorted(range(len(found.names)), key=lambda index: natural_key(found.names[index]))
    names = [found.names[index] for index in order]
    stats = np.array([found.stats[index] for index in order], np.int64).reshape(-1, 2)
    sizes = np.full((len(names), 2), UNKNOWN, np.int32)
    if kept is not None:
        known = dict(zip(kept.names(), range(len(kept))))
        before = np.stack([kept.arrays['changed'], kept.arrays['bytes']], 1)
        rows = np.array([known.get(name, -1) for name in names], np.int64)
        same = (rows >= 0) & (before[rows] == stats).all(1)
        sizes[same] = kept.sizes[rows[same]]
    about = dict(
        fingerprint=found.fingerprint,
        folders=found.folders,
        passed=dict(found.passed),
        examples=found.examples,
        scanned=found.began,
    )
    return Listing.of(folder, about, names, stats, sizes)


def _with_sizes(listing: Listing, file: Path | None = None) -> Listing:
    """Read the headers whose sizes are not known, and again those that were broken; ``file`` keeps the result."""
    wanted = np.flatnonzero((listing.sizes <= BROKEN).any(1))
    if len(wanted):
        sizes = np.array(listing.sizes)
        sizes[wanted] = _sizes_of([listing[index] for index in wanted.tolist()])
        if not np.array_equal(sizes, listing.sizes):
            listing = Listing(listing.folder, listing.about, dict(listing.arrays, sizes=sizes))
    return listing if file is None or listing.file is not None else listing.save(file)


def _sizes_of(paths: list[str]) -> np.ndarray:
    """(n, 2), read in threads, a block of paths each."""
    Image.preinit()  # before the threads: they would race for Pillow's plug-ins
    blocks = [paths[begin : begin + _BLOCK] for begin in range(0, len(paths), _BLOCK)]
    with ThreadPoolExecutor(8) as pool:
        return np.concatenate(list(pool.map(_sizes_of_block, blocks)))


def _sizes_of_block(paths: list[str]) -> np.ndarray:
    return np.array([_size(path) for path in paths], np.int32)


def _size(path: str) -> tuple[int, int]:
    try:
        return image_size(path)
    except UserError:
        return BROKEN, BROKEN
