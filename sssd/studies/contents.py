"""What the files say that a training or a test reads, in a few letters: so that a study notices when they change."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from mmengine.config import Config

from sssd.checks import sources
from sssd.data.image_folder import list_images


def read_by(config: Config) -> list[str]:
    """The annotation files and folders of unlabelled images that a config trains and validates with."""
    found = [
        place
        for part in ('train', 'val')
        for dataset in leaves((config.get(f'{part}_dataloader') or {}).get('dataset') or {})
        for place in places_of(dataset)
    ]
    return list(dict.fromkeys(found))


def leaves(dataset: Mapping) -> Iterator[dict]:
    """The data sets inside wrappers."""
    return (inner for _, inner in sources.leaves('', dataset))


def places_of(dataset: Mapping) -> list[str]:
    """The annotation file of a data set, or its folder of images where it has none."""
    root, ann_file = dataset.get('data_root') or '', dataset.get('ann_file') or ''
    if str(dataset.get('type')).endswith('ImageFolder'):
        return [os.path.join(root, (dataset.get('data_prefix') or {}).get('img', ''))]
    return [os.path.join(root, ann_file)] if ann_file else []


def digest(places: Iterable[str]) -> str | None:
    """A fingerprint of the bytes of files and the names of images in folders; None where one is not there."""
    found = hashlib.sha256()
    for place in places:
        path = Path(place)
        if path.is_dir():
            found.update('\n'.join(os.path.relpath(image, path) for image in list_images(place)).encode())
        elif path.is_file():
            state = path.stat()
            found.update(_digest_of(str(path.absolute()), state.st_mtime_ns, state.st_size))
        else:
            return None
    return found.hexdigest()[:16]


def same(known: str | None, now: str | None) -> bool:
    """Whether two fingerprints may be of the same files: one that is not known may be of any."""
    return None in (known, now) or known == now


@lru_cache(maxsize=256)
def _digest_of(path: str, modified: int, size: int) -> bytes:
    """The hash of a file's bytes, read once as long as the file stays as it is."""
    return hashlib.sha256(Path(path).read_bytes()).digest()
