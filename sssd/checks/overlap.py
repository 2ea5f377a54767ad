"""Are images trained with that are evaluated on, or labelled ones among the unlabelled?  By file, and by content."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sssd.checks.findings import Findings, either, number_of
from sssd.checks.headers import Header
from sssd.progress import tracked

#: What two kinds of sources must not share, and why.
PAIRS = {
    ('labelled', 'val'): 'so the result is not one on unseen images: take them out of one of the two',
    ('unlabelled', 'val'): 'so the result is not one on unseen images: take them out of one of the two',
    ('labelled', 'unlabelled'): 'so they count as labelled and as unlabelled: take them out of the unlabelled ones',
}
#: Why two files of labels must not share images; a source that is given twice is meant to count twice.
TWICE = 'so they count twice, and labels of one may contradict those of the other: join the entries of one image'


@dataclass(frozen=True)
class Source:
    """The images of a data set.

    Attributes:
        role: ``'labelled'``, ``'unlabelled'`` or ``'val'``.
        name: The annotation file or the folder, for sentences.
        paths: The images.
        headers: What was looked at of them.
        folder: The folder that they lie in or below; empty if it is not known.
    """

    role: str
    name: str
    paths: Sequence[str]
    headers: dict[str, Header] = field(default_factory=dict)
    folder: str = ''


def check_overlap(findings: Findings, sources: list[Source], thorough: bool = False) -> set[str]:
    """Tell what sources of different roles share.

    Args:
        findings: Where to.
        sources: All of them.
        thorough: Compare contents too, with progress; else paths alone.

    Returns:
        The images that were told of.
    """
    contents, told = _contents(sources) if thorough else {}, set()
    for number, first in enumerate(sources):
        for second in sources[number + 1 :]:
            pair = _ordered(first, second)
            if pair is not None:
                told.update(_compare(findings, *pair, contents))
    if thorough:
        for source in sources:
            _tell_copies(findings, source, contents)
    return told


def _ordered(first: Source, second: Source) -> tuple[Source, Source, str] | None:
    if first.role == second.role == 'labelled' and first.name != second.name:
        return first, second, TWICE
    for one, other in ((first, second), (second, first)):
        if (one.role, other.role) in PAIRS:
            return one, other, PAIRS[one.role, other.role]
    return None


def _compare(findings: Findings, first: Source, second: Source, why: str, contents: dict[str, bytes]) -> set[str]:
    same = _same_files(first, second)
    if same:
        findings.warning(
            'same-file',
            first.name,
            f'{number_of(len(same), "image")} of {second.name} {either(len(same), "is", "are")} also in {first.name}, '
            f'such as {same[0]}, '
            f'{why}.',
            len(same),
            same,
        )
    theirs = {contents[path]: path for path in first.paths if path in contents}
    copies = [(path, theirs[contents[path]]) for path in second.paths if contents.get(path) in theirs]
    copies = [(path, other) for path, other in copies if path not in set(same)]
    if copies:
        path, other = copies[0]
        findings.warning(
            'same-content',
            first.name,
            f'{number_of(len(copies), "image")} of {second.name} '
            f'{either(len(copies), "is a copy of an image", "are copies of images")} '
            f'of {first.name}, such as '
            f'{path} of {other}, {why}.',
            len(copies),
            [path for path, _ in copies],
        )
    return {*same, *(path for path, _ in copies)}


def _same_files(first: Source, second: Source) -> list[str]:
    """Paths of the second source that are files of the first one: by name, and by device and inode."""
    known = _shared_names(first.paths, second.paths)
    inodes = {header.identity for header in first.headers.values() if not header.trouble}
    return [
        path
        for path, absolute in zip(second.paths, absolute(second.paths))
        if absolute in known
        or ((header := second.headers.get(path)) is not None and not header.trouble and header.identity in inodes)
    ]


def _shared_names(first: Sequence[str], second: Sequence[str]) -> set[str]:
    """Absolute paths that both have; one of them may be a million long, so only the other one is kept."""
    short, long = sorted((first, second), key=len)
    known = set(absolute(short))
    return {path for path in absolute(long) if path in known}


def absolute(paths: Sequence[str]) -> Iterator[str]:
    """Absolute paths; the costly way is gone for those alone that have dots or several slashes."""
    here = os.getcwd()
    for path in paths:
        plain = '//' not in path and '/.' not in path and path[:1] not in '.'
        yield os.path.join(here, path) if plain else os.path.abspath(path)


def _tell_copies(findings: Findings, source: Source, contents: dict[str, bytes]) -> None:
    """Tell of images that a source has several times under different names."""
    by_content = defaultdict(list)
    for path in dict.fromkeys(source.paths):
        if path in contents:
            by_content[contents[path]].append(path)
    twice = [paths for paths in by_content.values() if len(paths) > 1]
    if twice:
        extra = sum(len(paths) - 1 for paths in twice)
        doubt = ': it counts twice, and labels of one may contradict those of the other'
        findings.add(
            'note' if source.role == 'unlabelled' else 'warning',
            'copies',
            source.name,
            f'{number_of(extra, "image")} of {source.name} '
            f'{either(extra, "is a copy of another one", "are copies of others")} of it, such as {twice[0][1]} of '
            f'{twice[0][0]}{"" if source.role == "unlabelled" else doubt}.',
            extra,
            [paths[1] for paths in twice],
        )


def _contents(sources: list[Source]) -> dict[str, bytes]:
    """A hash of the content of every file that may have a twin: one of equal size, and with equal first bytes."""
    files = {path: header for source in sources for path, header in source.headers.items() if not header.trouble}
    groups = defaultdict(list)
    for path, header in files.items():
        groups[header.bytes, header.head].append(path)
    twins = [path for group in groups.values() if len(group) > 1 for path in group]
    hashes = {path: _hash(path) for path in tracked(twins, 'comparing images', len(twins))}
    return {path: digest for path, digest in hashes.items() if digest}


def _hash(path: str) -> bytes:
    """A hash of a file; empty where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with open(path, 'rb') as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError:
        return b''
    return digest.digest()
