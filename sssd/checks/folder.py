"""What lies in a folder of unlabelled images, and what of it is passed over."""

import os
import stat
from collections import Counter, defaultdict

from sssd.checks.findings import Findings, number_of, some
from sssd.data.image_folder import EXTENSIONS


def check_folder(findings: Findings, key: str, folder: str) -> None:
    """Tell what a walk through a folder passes over, and what would block it.

    Args:
        findings: Where to.
        key: The data set's key in the config.
        folder: The folder.
    """
    passed_over, linked, odd = defaultdict(list), [], []
    for parent, folders, files in _walk(findings, folder):
        for name in folders:
            if name.lower().endswith(EXTENSIONS):
                odd.append(os.path.join(parent, name))
        for name in files:
            path = os.path.join(parent, name)
            if name.startswith('.'):
                passed_over['hidden'].append(path)
            elif not name.lower().endswith(EXTENSIONS):
                passed_over[os.path.splitext(name)[1].lower() or 'no extension'].append(path)
            elif os.path.islink(path):
                linked.append(path)
    _tell_passed_over(findings, key, folder, passed_over)
    _tell_links(findings, folder, linked)
    if odd:
        findings.warning(
            'folder-like-image',
            folder,
            f'{number_of(len(odd), "folder")} below {folder} have the name of an image, such as {odd[0]}: the images '
            'in them are taken; rename them if they are not meant.',
            len(odd),
            odd,
        )


def _walk(findings: Findings, folder: str):
    """``os.walk`` through links, each folder once, those that may not be looked into told."""
    refused, seen = [], set()

    def refuse(error: OSError) -> None:
        refused.append(error.filename)

    for parent, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        state = os.stat(parent)
        if (state.st_dev, state.st_ino) in seen:
            folders.clear()
            continue
        seen.add((state.st_dev, state.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        yield parent, folders, sorted(files)
    if refused:
        findings.error(
            'folder-permission',
            folder,
            f'{number_of(len(refused), "folder")} below {folder} may not be looked into by this user, such as '
            f'{refused[0]}, '
            'and would be passed over without a word: change the permissions, or move what is meant to be left out.',
            len(refused),
            refused,
        )


def _tell_passed_over(findings: Findings, key: str, folder: str, passed_over: dict[str, list[str]]) -> None:
    if not passed_over:
        return
    counts = Counter({kind: len(paths) for kind, paths in passed_over.items()})
    total = sum(counts.values())
    kinds = ', '.join(
        f'{count} with {kind}' if kind != 'hidden' else f'{count} hidden'
        for kind, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:8]
    )
    likely = any(kind in ('no extension', '.heic', '.heif', '.avif', '.gif', '.jxl', '.jp2') for kind in counts)
    example = next(iter(passed_over.values()))[0]
    findings.add(
        'warning' if likely else 'note',
        'passed-over',
        folder,
        f'{number_of(total, "file")} below {folder} of {key} are passed over, as their names are not those of images '
        f'({kinds}; such as {example}): images among them have to be converted or renamed.',
        total,
        [example],
    )


def _tell_links(findings: Findings, folder: str, linked: list[str]) -> None:
    if not linked:
        return
    findings.note(
        'symlinks',
        folder,
        f'{number_of(len(linked), "image")} below {folder} are links: {some(linked)}.',
        len(linked),
        linked,
    )
    targets = Counter(_identity(path) for path in linked)
    twice = sum(count - 1 for identity, count in targets.items() if identity and count > 1)
    if twice:
        findings.warning(
            'linked-twice',
            folder,
            f'{twice} links below {folder} lead to a file that another one leads to: it counts twice.',
            twice,
        )


def _identity(path: str):
    try:
        state = os.stat(path)
    except OSError:
        return None
    return (state.st_dev, state.st_ino) if stat.S_ISREG(state.st_mode) else None
