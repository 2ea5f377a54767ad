"""Image files: which names are taken for images, their natural order, and their sizes from the header alone."""

import re

from PIL import Image

from sssd.errors import UserError

EXTENSIONS = (
    '.jpg',
    '.jpeg',
    '.jpe',
    '.jfif',
    '.png',
    '.bmp',
    '.dib',
    '.tif',
    '.tiff',
    '.webp',
    '.ppm',
    '.pgm',
    '.pnm',
)
_ORIENTATION = 0x0112  # EXIF tag; values 5 to 8 exchange width and height
_EXIF_FORMATS = ('JPEG', 'MPO', 'PNG', 'TIFF')  # where OpenCV's decoder turns the image
_DIGITS = re.compile(r'([0-9]+)')


def natural_key(name: str) -> tuple:
    """By what ``img2`` comes before ``img10``.

    Only ASCII digits are numbers and letters are compared as they are, so that the order of a folder's images, by which
    a training is resumed, depends on nothing but their names. ``natsort`` decomposes letters (an umlaut sorts by its
    vowel) and takes the digits of all scripts for numbers, and neither can be turned off.
    """
    parts = _DIGITS.split(name)
    parts[1::2] = map(int, parts[1::2])
    return parts, name


def image_size(path: str) -> tuple[int, int]:
    """Width and height of an image as mmcv will decode it, EXIF orientation included, from its header alone.

    Raises:
        UserError: If the header cannot be read.
    """
    return size_and_turn(path)[0]


def size_and_turn(path: str) -> tuple[tuple[int, int], bool]:
    """The size of an image, as :func:`image_size` has it, and whether its EXIF tag turns or mirrors it.

    Raises:
        UserError: If the header cannot be read.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            if image.format == 'TIFF':  # some versions of Pillow have turned this size already
                width, height = image.tag_v2[256], image.tag_v2[257]
            turn = image.getexif().get(_ORIENTATION, 1) if image.format in _EXIF_FORMATS else 1
    except (OSError, ValueError, SyntaxError, KeyError, Image.DecompressionBombError) as error:
        raise UserError(f'image {path} cannot be read ({error}); remove or replace the file.') from error
    return (height, width) if turn in (5, 6, 7, 8) else (width, height), turn in range(2, 9)
