"""Do images lie beside those of an annotation file that nothing names?"""

import os
from collections.abc import Iterator

from sssd.checks.findings import Findings, either, part_of, shown
from sssd.checks.overlap import Source, absolute
from sssd.data.image_folder import EXTENSIONS


def check_unnamed(findings: Findings, sources: list[Source]) -> None:
    """Tell of images below the folders of labelled sources and those to evaluate on that no source has.

    Args:
        findings: Where to.
        sources: All that the config has.
    """
    known = {path for source in sources for path in absolute(source.paths)}
    known |= {header.identity for source in sources for header in source.headers.values()}
    for folder, name in _folders(sources).items():
        images = dict(_images_below(folder))
        unnamed = [
            path
            for (path, identity), full in zip(images.items(), absolute(list(images)))
            if identity not in known and full not in known
        ]
        if unnamed:
            count = len(unnamed)
            findings.note(
                'unnamed',
                folder,
                f'{part_of(count, len(images), "image")} below {folder}, the folder of {name}, '
                f'{either(count, "is", "are")} named by no data set of the config, such as {shown(unnamed[0])}: '
                f'nothing uses {either(count, "it", "them")}; label {either(count, "it", "them")}, or add '
                f'{either(count, "it", "them")} to the unlabelled ones.',
                count,
                unnamed,
            )


def _folders(sources: list[Source]) -> dict[str, str]:
    """Folders to look through, and what is in each; not one that lies in another one of them."""
    places = {}
    for source in sources:
        if source.folder and os.path.isdir(source.folder):
            places.setdefault(os.path.realpath(source.folder), (source.folder, source.name))
    return {
        folder: name
        for real, (folder, name) in places.items()
        if not any(real != other and real.startswith(os.path.join(other, '')) for other in places)
    }


def _images_below(folder: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Path and (device, inode) of files with the name of an image; hidden ones and links to folders are passed over."""
    waiting = [folder]
    while waiting:
        parent = waiting.pop()
        try:
            device, entries = os.stat(parent).st_dev, sorted(os.scandir(parent), key=lambda entry: entry.name)
        except OSError:  # told by whatever looks for images in it
            continue
        for entry in entries:
            if entry.name.startswith('.'):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif entry.name.lower().endswith(EXTENSIONS) and entry.is_file():
                state = entry.stat() if entry.is_symlink() else None
                yield entry.path, (state.st_dev, state.st_ino) if state else (device, entry.inode())
