"""Looking through a folder: its images, with what the file system says of each, and what is passed over."""

import os
import stat
import time
from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b

from sssd.errors import UserError
from sssd.images import EXTENSIONS

#: Under what a file is counted that is no image for other reasons than its extension.
NO_EXTENSION, NOT_UTF8, HIDDEN, UNREADABLE = 'no extension', 'name not UTF-8', 'hidden', 'folder without permission'
_KINDS = {stat.S_IFIFO: 'fifo', stat.S_IFSOCK: 'socket', stat.S_IFCHR: 'device', stat.S_IFBLK: 'device'}


@dataclass
class Scan:
    """What lies below a folder.

    Attributes:
        names: The images, relative to the folder, in the order of the file system.
        stats: Of each image (time of its last change in ns, bytes); (0, -1) for a link that leads nowhere.
        folders: Of each folder, by its name relative to the first (which is ``''``), the time of its last change in ns.
        passed: What is passed over: how many files by their extension (``'.heic'``) or another reason (``'fifo'``).
        examples: To each of these reasons one file.
        fingerprint: Changes if an image comes, goes or changes.
        began: When it was looked through, in ns.
    """

    names: list[str] = field(default_factory=list)
    stats: list[tuple[int, int]] = field(default_factory=list)
    folders: dict[str, int] = field(default_factory=dict)
    passed: Counter = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    fingerprint: str = ''
    began: int = field(default_factory=time.time_ns)

    def pass_over(self, reason: str, name: str) -> None:
        """Count a file that is no image."""
        self.passed[reason] += 1
        self.examples.setdefault(reason, name)


def scan(folder: str) -> Scan:
    """Look through a folder and all below it.

    Links to files and folders are followed; a folder that several ways lead to, a loop of links too, counts once.
    Hidden files and folders are left out. Nothing is opened: fifos, sockets and devices named like images are only
    counted. A folder named like an image is looked into like any other. What has a name that is not UTF-8, which OpenCV
    ends over, is passed over, be it a file or a folder.

    Raises:
        UserError: If the folder itself does not exist or may not be read.
    """
    found, seen, digest = Scan(), set(), blake2b(digest_size=16)
    waiting = ['']
    while waiting:
        place = waiting.pop()
        path = os.path.join(folder, place) if place else folder
        try:
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(path) as entries:
                inner = _look(entries, place, found, digest)
        except OSError as error:
            if not place:
                raise UserError(f'folder {folder} cannot be read ({error.strerror}): check the path.') from error
            found.pass_over(UNREADABLE, place)
            continue
        found.folders[place] = status.st_mtime_ns
        # Sorted, so that of two ways to one folder always the same is taken; depth first.
        waiting += [os.path.join(place, name) for name in sorted(inner, reverse=True)]
    found.fingerprint = digest.hexdigest()
    return found


def passed_over(folder: str) -> dict[str, int]:
    """How many files below a folder are taken for no images, by extension (``'.heic'``) or reason (``'fifo'``)."""
    return dict(scan(folder).passed)


def _look(entries, place: str, found: Scan, digest) -> list[str]:
    """Take in the entries of one folder; returns the names of those that are folders."""
    inner, prefix = [], place + os.sep if place else ''
    digest.update(b'\0\0' + os.fsencode(place))
    for entry in entries:
        name = entry.name
        if name.startswith('.'):
            if name.lower().endswith(EXTENSIONS):
                found.pass_over(HIDDEN, prefix + name)
        elif not name.isascii() and not _is_utf8(name):
            found.pass_over(NOT_UTF8, prefix + name)
        elif _is_folder(entry):
            inner.append(name)
        elif not name.lower().endswith(EXTENSIONS):
            found.pass_over(os.path.splitext(name)[1].lower() or NO_EXTENSION, prefix + name)
        else:
            changed, size, kind = _status(entry)
            if kind is not None:
                found.pass_over(kind, prefix + name)
                continue
            found.names.append(prefix + name)
            found.stats.append((changed, size))
            digest.update(b'\0%b\0%d %d' % (name.encode(), changed, size))
    return inner


def _is_folder(entry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _status(entry) -> tuple[int, int, str | None]:
    """Time of change, bytes, and what it is if that is no regular file."""
    try:
        status = entry.stat()
    except OSError:
        return 0, -1, None
    if stat.S_ISREG(status.st_mode):
        return status.st_mtime_ns, status.st_size, None
    return 0, 0, _KINDS.get(stat.S_IFMT(status.st_mode), 'no regular file')
