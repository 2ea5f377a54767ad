"""What lies in a folder of unlabelled images, and what of it is passed over."""

import os
import stat
from collections import Counter, defaultdict
from collections.abc import Iterator

from sssd.checks.findings import Findings, either, number_of, some
from sssd.data.image_folder import EXTENSIONS

#: So many entries are looked at before a training; the doctor looks at all.
MANY = 200_000
#: What may have the name of an image.
PIPE, NO_TEXT = 'a pipe or a device', 'a name that is no UTF-8'


def check_folder(findings: Findings, key: str, folder: str, thorough: bool = True) -> dict[str, str]:
    """Tell what a walk through a folder passes over, and what would block it.

    Args:
        findings: Where to.
        key: The data set's key in the config.
        folder: The folder.
        thorough: Look at all; else at no more than :data:`MANY` entries.

    Returns:
        What has the name of an image and is none, by its path: see :func:`tell_special`.
    """
    passed_over, linked, odd, special = defaultdict(list), [], [], {}
    for number, entry in enumerate(_walk(findings, folder)):
        if not thorough and number > MANY:
            break
        is_image = entry.name.lower().endswith(EXTENSIONS)
        if entry.name.startswith('.'):
            passed_over['hidden'].append(entry.path)
        elif _is_folder(entry):
            odd += [entry.path] * is_image
        elif not is_image:
            passed_over[os.path.splitext(entry.name)[1].lower() or 'no extension'].append(entry.path)
        elif not is_text(entry.name):
            special[entry.path] = NO_TEXT
        elif entry.is_symlink():
            linked.append(entry.path)
            if not os.path.exists(entry.path):
                special[entry.path] = 'a link that leads nowhere'
        elif not entry.is_file():
            special[entry.path] = PIPE
    _tell_passed_over(findings, key, folder, passed_over)
    _tell_links(findings, folder, linked)
    if odd:
        findings.warning(
            'folder-like-image',
            folder,
            f'{number_of(len(odd), "folder")} below {folder} {either(len(odd), "has", "have")} the name of an image, '
            'such '
            f'as {odd[0]}: the images in it are taken; rename it if they are not meant.',
            len(odd),
            odd,
        )
    return special


def tell_special(findings: Findings, folder: str, special: dict[str, str], listed: set[str]) -> None:
    """Tell of what has the name of an image and is none: an error where training would wait for it.

    Args:
        findings: Where to.
        folder: The folder.
        special: What :func:`check_folder` found.
        listed: What of it the data set takes all the same.
    """
    pipes = [path for path in listed if special[path] == PIPE]
    if pipes:
        findings.error(
            'unreadable-image',
            folder,
            f'image {pipes[0]} is no file but {PIPE}, for which training would wait ({len(pipes)} below {folder}); '
            'take it out.',
            len(pipes),
            pipes,
        )
    for reason in dict.fromkeys(special.values()):
        paths = [path for path, each in special.items() if each == reason and path not in listed]
        if paths:
            findings.warning(
                'file-name' if reason == NO_TEXT else 'passed-over',
                folder,
                f'{number_of(len(paths), "file")} below {folder} {either(len(paths), "is", "are")} passed over, such '
                f'as {paths[0]}, which is no '
                f'file but {reason}: rename, mend or remove {either(len(paths), "it", "them")}.'.replace(
                    f'is no file but {NO_TEXT}', f'has {NO_TEXT}'
                ),
                len(paths),
                paths,
            )


def is_text(name: str) -> bool:
    """Whether a file's name is UTF-8."""
    try:
        name.isascii() or name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _walk(findings: Findings, folder: str) -> Iterator[os.DirEntry]:
    """Entries below a folder, through links, each folder once; those that may not be looked into are told."""
    waiting, refused, seen = [folder], [], set()
    while waiting:
        parent = waiting.pop()
        try:
            state = os.stat(parent)
            entries = list(os.scandir(parent))
        except OSError:
            refused.append(parent)
            continue
        if (state.st_dev, state.st_ino) in seen:
            continue
        seen.add((state.st_dev, state.st_ino))
        for entry in entries:
            yield entry
            if not entry.name.startswith('.') and _is_folder(entry):
                waiting.append(entry.path)
    if refused:
        findings.error(
            'folder-permission',
            folder,
            f'{number_of(len(refused), "folder")} below {folder} may not be looked into by this user, such as '
            f'{refused[0]}, and would be passed over without a word: change the permissions, or move what is meant '
            'to be left out.',
            len(refused),
            refused,
        )


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


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
        f'{number_of(total, "file")} below {folder} of {key} {either(total, "is", "are")} passed over, as '
        f'{either(total, "its name is not that of an image", "their names are not those of images")} '
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
        f'{number_of(len(linked), "image")} below {folder} {either(len(linked), "is a link", "are links")}: '
        f'{some(linked)}.',
        len(linked),
        linked,
    )
    targets = Counter(_identity(path) for path in linked)
    twice = sum(count - 1 for identity, count in targets.items() if identity and count > 1)
    if twice:
        findings.warning(
            'linked-twice',
            folder,
            f'{number_of(twice, "link")} below {folder} {either(twice, "leads", "lead")} to a file that another one '
            'leads '
            'to: it counts twice.',
            twice,
        )


def _identity(path: str):
    try:
        state = os.stat(path)
    except OSError:
        return None
    return (state.st_dev, state.st_ino) if stat.S_ISREG(state.st_mode) else None
