"""A list of many files in few arrays, which a file can hold and several processes can map."""

import json
import mmap
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sssd.errors import UserError
from sssd.whole_files import replacing

_MAGIC = b'sssd listing 1\n'
_ALIGN = 64
#: The size of an image whose header has not been read yet, and of one whose header cannot be read.
UNKNOWN, BROKEN = -1, 0
_ARRAYS = dict(blob=np.uint8, ends=np.int64, sizes=np.int32, changed=np.int64, bytes=np.int64)


class Listing(Sequence):
    """The images below a folder, in natural order; as a sequence, their paths.

    Names lie in one array of bytes, so a million of them take tens of megabytes, and those of a file are mapped:
    processes that map one file share the memory.

    Attributes:
        folder: The folder.
        about: What else is known: ``folders``, ``passed``, ``examples`` and ``fingerprint`` as of a ``Scan``.
        arrays: ``blob``, the names in UTF-8; ``ends``, (n,), where each ends in it; ``sizes``, (n, 2), width and
            height, :data:`UNKNOWN` or :data:`BROKEN`; ``changed`` and ``bytes``, (n,).
        file: The file that holds it; None if none does.
    """

    def __init__(self, folder: str, about: dict, arrays: dict, file: str | None = None) -> None:
        self.folder, self.about, self.arrays, self.file = folder, about, arrays, file

    @classmethod
    def of(cls, folder: str, about: dict, names: Sequence[str], stats: np.ndarray, sizes: np.ndarray) -> 'Listing':
        """A listing of names in their order, with (n, 2) stats and sizes."""
        encoded = [name.encode() for name in names]
        arrays = dict(
            blob=np.frombuffer(b''.join(encoded), np.uint8),
            ends=np.cumsum([len(name) for name in encoded], dtype=np.int64),
            sizes=sizes,
            changed=stats[:, 0],
            bytes=stats[:, 1],
        )
        return cls(folder, about, arrays)

    def __len__(self) -> int:
        return len(self.arrays['ends'])

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        return os.path.join(self.folder, self.name(index))

    def __iter__(self) -> Iterator[str]:
        return (os.path.join(self.folder, name) for name in self.names())

    def name(self, index: int) -> str:
        """The name of an image relative to the folder; ``index`` is not negative."""
        ends = self.arrays['ends']
        begin = int(ends[index - 1]) if index else 0
        return self.arrays['blob'][begin : int(ends[index])].tobytes().decode()

    def names(self) -> Iterator[str]:
        """All names, one after the other."""
        blob, begin = memoryview(self.arrays['blob']), 0
        for end in self.arrays['ends'].tolist():
            yield bytes(blob[begin:end]).decode()
            begin = end

    @property
    def sizes(self) -> np.ndarray:
        """(n, 2), width and height."""
        return self.arrays['sizes']

    def save(self, path: str | Path) -> 'Listing':
        """Write it, whole or not at all, and return it as it is mapped from there."""
        arrays = {name: np.ascontiguousarray(self.arrays[name], kind) for name, kind in _ARRAYS.items()}
        shapes = {name: array.shape for name, array in arrays.items()}
        header = json.dumps(dict(about=self.about, shapes=shapes)).encode()
        check = zlib.crc32(header)
        for array in arrays.values():
            check = zlib.crc32(array.reshape(-1), check)
        with replacing(path) as part, open(part, 'wb') as file:
            file.write(_MAGIC + len(header).to_bytes(8, 'little') + check.to_bytes(8, 'little') + header)
            for array in arrays.values():
                file.write(bytes(-file.tell() % _ALIGN))
                file.write(array.tobytes())
        return Listing.load(path, self.folder) or self

    @classmethod
    def load(cls, path: str | Path, folder: str) -> 'Listing | None':
        """Map a listing of ``folder``; None if there is none, or the file is damaged."""
        try:
            with open(path, 'rb') as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            if mapped[: len(_MAGIC)] != _MAGIC:
                return None
            at = len(_MAGIC)
            size, expected = (int.from_bytes(mapped[begin : begin + 8], 'little') for begin in (at, at + 8))
            at, text = at + 16 + size, mapped[at + 16 : at + 16 + size]
            header, arrays, check = json.loads(text), {}, zlib.crc32(text)
            for name, kind in _ARRAYS.items():
                at += -at % _ALIGN
                shape = header['shapes'][name]
                count = int(np.prod(shape))
                arrays[name] = np.frombuffer(mapped, kind, count, at).reshape(shape)
                check = zlib.crc32(arrays[name].reshape(-1), check)
                at += count * np.dtype(kind).itemsize
            return cls(folder, header['about'], arrays, str(path)) if check == expected else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def __reduce__(self):
        """A process of its own maps the file again instead of being sent the content."""
        if self.file is None:
            return Listing, (self.folder, self.about, self.arrays)
        return _mapped_again, (self.file, self.folder, self.about['fingerprint'])


def _mapped_again(path: str, folder: str, fingerprint: str) -> Listing:
    found = Listing.load(path, folder)
    if found is None or found.about['fingerprint'] != fingerprint:
        raise UserError(f'the images of {folder} changed while processes were started: start again.')
    return found
