"""Do images lie beside those of an annotation file that nothing names?"""

import os

from sssd.checks.findings import Findings, either, part_of, shown
from sssd.checks.overlap import Source
from sssd.data.image_folder import EXTENSIONS


def check_unnamed(findings: Findings, sources: list[Source]) -> None:
    """Tell of images below the folders of labelled sources and those to evaluate on that no source has.

    Args:
        findings: Where to.
        sources: All that the config has.
    """
    known = {os.path.realpath(path) for source in sources for path in source.paths}
    for folder, name in _folders(sources).items():
        images = list(_images_below(folder))
        unnamed = [path for path in images if os.path.realpath(path) not in known]
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


def _images_below(folder: str):
    """Paths of what has the name of an image; hidden files and folders are passed over, links to folders too."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        for name in sorted(files):
            if name.lower().endswith(EXTENSIONS) and not name.startswith('.'):
                yield os.path.join(parent, name)
