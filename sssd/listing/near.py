"""A file that is there in the place of one that is not: of the same name but for its spelling, or its folders."""

import os
import unicodedata
from collections.abc import Callable
from urllib.parse import unquote


def _exact(name: str) -> str:
    return unicodedata.normalize('NFC', unquote(name)).strip().casefold()


def _stem(name: str) -> str:
    return os.path.splitext(_exact(name))[0]


#: How names are compared, the closest way first: as written but for case, blanks, %20 and the form of accents; without
#: their endings.
_WAYS: tuple[Callable[[str], str], ...] = (_exact, _stem)


def near_file(path: str) -> str | None:
    """The name of the one file beside a missing ``path`` that is the same but for its spelling or ending, if one is."""
    folder, name = os.path.split(path)
    for way, names in zip(_WAYS, _names_in(folder or '.')):
        found = names.get(way(name)) or names.get(_exact(name), ())  # a name without an ending may have points in it
        if len(found) == 1:
            return found[0]
    return None


def file_above(path: str) -> str | None:
    """Where a missing ``path`` leads to without the folders in it that are not there, if there is such a file."""
    folder, name = os.path.split(path)
    while folder and not os.path.isdir(folder):
        above = os.path.dirname(folder)
        folder = above if above != folder else ''
    found = os.path.join(folder, name)
    return found if found != path and os.path.isfile(found) else None


def _names_in(folder: str) -> tuple[dict[str, list[str]], ...]:
    """The names in a folder by each way of comparing them."""
    found: tuple[dict[str, list[str]], ...] = tuple({} for _ in _WAYS)
    try:
        names = os.listdir(folder)
    except OSError:
        return found
    for name in names:
        for way, by in zip(_WAYS, found):
            by.setdefault(way(name), []).append(name)
    return found
