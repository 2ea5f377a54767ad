"""What the first and last bytes of an image file say: format, size, EXIF turn, channels and bits, and its end.

No pixel is decoded, but of the few JPEGs in whose last bytes no end is found.
"""

import os
import stat
import struct
import warnings
import zlib
from dataclasses import dataclass

from PIL import Image

#: Bytes that are read at first; with an EXIF thumbnail before the size, Pillow reads on.
HEAD = 4096
#: Bytes at the end of a file in which its format's end is looked for, at first and if it is not in them: cameras write
#: more behind it.
TAILS = (4096, 65536)
#: What a format ends with, and what comes before, of which a preview in the head of a photo has its own.
_ENDS = dict(JPEG=(b'\xff\xd9', b'\xff\xda'), PNG=(b'IEND', b'IHDR'))
#: JPEG's frames: their marker has the size. Not among them are DHT, JPG and DAC.
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: The EXIF tag by which photos say how they are to be turned, and the formats in which OpenCV obeys it.
ORIENTATION, TURNED = 0x0112, ('JPEG', 'MPO', 'PNG', 'TIFF')
_PNG = b'\x89PNG\r\n\x1a\n'
_PNG_MODES = {0: 'gray', 2: 'colour', 3: 'palette', 4: 'alpha', 6: 'alpha'}
_PILLOW_MODES = dict(L='gray', P='palette', RGBA='alpha', LA='alpha', PA='alpha', CMYK='CMYK', YCCK='CMYK')


@dataclass(slots=True)
class Header:
    """What a file is.

    Attributes:
        trouble: Why it is no image that can be read; empty if it is one. The others are then as they are here.
        width: In pixels, as stored.
        height: Likewise.
        turned: Whether its EXIF tag exchanges width and height.
        moved: Whether its EXIF tag turns or mirrors it in any way.
        mode: ``'colour'``, ``'gray'``, ``'palette'``, ``'alpha'`` or ``'CMYK'``.
        deep: Whether it has more than 8 bits to a channel.
        kind: The format: ``'JPEG'``, ``'PNG'`` or what Pillow calls it.
        bytes: The file's size.
        identity: (device, inode) of the file.
        head: A checksum of its first bytes.
        cut: Whether its end is missing, so that OpenCV does not decode it.
    """

    trouble: str = ''
    width: int = 0
    height: int = 0
    turned: bool = False
    moved: bool = False
    mode: str = 'colour'
    deep: bool = False
    kind: str = ''
    bytes: int = 0
    identity: tuple[int, int] = (0, 0)
    head: int = 0
    cut: bool = False

    @property
    def hidden_turn(self) -> bool:
        """Whether it is turned or mirrored, and has the same width and height so."""
        return self.moved and (not self.turned or self.width == self.height)

    def size(self, turns: bool = True) -> tuple[int, int]:
        """Width and height as decoded; ``turns`` says whether the loader obeys EXIF."""
        return (self.height, self.width) if self.turned and turns else (self.width, self.height)


def read_header(path: str) -> Header:
    """The header of a file; whatever is wrong with it, from a missing file to a pipe, is its ``trouble``."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would block for ever
        try:
            state = os.fstat(handle)
            known = dict(bytes=state.st_size, identity=(state.st_dev, state.st_ino))
            if not stat.S_ISREG(state.st_mode):
                return Header(f'is {_kind(state.st_mode)}', **known)
            head = os.read(handle, HEAD)
            found = (_png(head) or _jpeg(head) or _by_pillow(path)) if head else None
            known['cut'] = found is not None and _is_cut(path, handle, state.st_size, found.get('kind'))
        finally:
            os.close(handle)
    except FileNotFoundError:
        return Header('is a link to a file that does not exist' if os.path.islink(path) else 'does not exist')
    except PermissionError:
        return Header('may not be read by this user; change its permissions')
    except (OSError, ValueError) as error:
        return Header(f'cannot be read ({getattr(error, "strerror", None) or error})')
    if found is None:
        return Header(_trouble(head), **known)
    return Header(**found, **known, head=zlib.crc32(head))


def _trouble(head: bytes) -> str:
    """Why a file is no image: what else it is by its first bytes."""
    if head.startswith(b'version https://git-lfs'):
        return "is a pointer of Git LFS and not the image: fetch it with 'git lfs pull'"
    if head[4:8] == b'ftyp' and head[8:12] in (b'heic', b'heix', b'hevc', b'mif1', b'msf1'):
        return 'is in HEIC, which OpenCV does not read: convert it to JPEG'
    return f'cannot be decoded, the file is broken{"" if head else ": it is empty"}'


def _kind(mode: int) -> str:
    return 'a folder' if stat.S_ISDIR(mode) else f'no file but a {"pipe" if stat.S_ISFIFO(mode) else "device"}'


def _is_cut(path: str, handle: int, size: int, kind: str | None) -> bool:
    """Whether a file ends before its format does, by its last bytes; a JPEG with a film behind it is decoded, small."""
    if kind not in _ENDS:
        return False
    end, begin = _ENDS[kind]
    tails = (os.pread(handle, length, max(0, size - length)) for length in TAILS)
    if any(tail.rfind(end) > tail.rfind(begin) for tail in tails):
        return False
    if kind == 'JPEG':
        try:
            with Image.open(path) as image:
                image.draft('RGB', (1, 1))
                image.load()
        except (OSError, SyntaxError, ValueError):
            return True
    return kind == 'PNG'


def _png(head: bytes) -> dict | None:
    """A PNG's header; None if it is none, or has EXIF, or what comes first is longer than the bytes read."""
    if not head.startswith(_PNG) or head[12:16] != b'IHDR' or len(head) < 33:
        return None
    width, height, bits, colour = struct.unpack('>IIBB', head[16:26])
    place = 33
    while head[place + 4 : place + 8] not in (b'IDAT', b'eXIf'):
        if place + 8 > len(head):
            return None
        place += 12 + int.from_bytes(head[place : place + 4], 'big')
    if head[place + 4 : place + 8] == b'eXIf' or not width or not height:
        return None
    return dict(width=width, height=height, mode=_PNG_MODES.get(colour, 'colour'), deep=bits > 8, kind='PNG')


def _jpeg(head: bytes) -> dict | None:
    """A JPEG's header; None likewise."""
    if head[:3] != b'\xff\xd8\xff':
        return None
    place = 2
    while place + 9 < len(head) and head[place] == 0xFF:
        marker = head[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        if marker in _FRAMES:
            bits, height, width, channels = struct.unpack('>BHHB', head[place + 4 : place + 10])
            if not width or not height:
                return None
            mode = {1: 'gray', 4: 'CMYK'}.get(channels, 'colour')
            return dict(width=width, height=height, mode=mode, deep=bits > 8, kind='JPEG')
        if marker == 0xE1 and head[place + 4 : place + 8] == b'Exif':
            return None
        place += 2 + int.from_bytes(head[place + 2 : place + 4], 'big')
    return None


def _by_pillow(path: str) -> dict | None:
    """What Pillow reads from the header, without its limit on sizes; None if it cannot."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            with Image.open(path) as image:
                return _of_pillow(image)
    except (OSError, ValueError, SyntaxError, KeyError, TypeError, IndexError, OverflowError, struct.error):
        return None
    except (ArithmeticError, AttributeError, MemoryError, RecursionError, EOFError):  # of broken tags
        return None
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _of_pillow(image: Image.Image) -> dict:
    if image.mode == 'F':
        return dict(trouble='has 32-bit floating point numbers, which OpenCV does not read as an image: convert it')
    width, height = image.size
    if image.format == 'TIFF':  # some versions of Pillow have turned this size already
        width, height = int(image.tag_v2[256]), int(image.tag_v2[257])
    orientation = image.getexif().get(ORIENTATION, 1) if image.format in TURNED else 1
    turned, moved = orientation in (5, 6, 7, 8), orientation in range(2, 9)
    bits = image.tag_v2.get(258, (8,)) if image.format == 'TIFF' else (8,)
    deep = image.mode.startswith('I') or max(bits if isinstance(bits, tuple) else (bits,)) > 8
    mode = 'gray' if image.mode.startswith(('I', '1')) else _PILLOW_MODES.get(image.mode, 'colour')
    return dict(width=width, height=height, turned=turned, moved=moved, mode=mode, deep=deep, kind=image.format)
