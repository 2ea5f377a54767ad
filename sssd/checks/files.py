"""Are the images of a data set there, and can they be read?  By their headers; see :mod:`sssd.checks.headers`."""

import os
import re
from collections import Counter, defaultdict
from dataclasses import dataclass

import cv2

from sssd.checks.findings import Findings, either, number_of, part_of, some
from sssd.checks.folder import is_text
from sssd.checks.headers import Header, read_header
from sssd.data.image_folder import EXTENSIONS
from sssd.listing import file_above, near_file
from sssd.progress import tracked

#: So many images are looked at before a training, evenly spread over a data set; the doctor looks at all.
SAMPLE = 2000
#: OpenCV decodes no larger image; and so many pixels Pillow takes for an attack.
TOO_LARGE, LARGE = 2**30, 178_956_970
#: Sides so short, or so different, that a resize can leave nothing of an image.
SHORT, LONG = 4, 100
#: Formats that every OpenCV reads, as Pillow calls them.
READ = ('JPEG', 'MPO', 'PNG', 'BMP', 'TIFF', 'WEBP', 'PPM')


@dataclass(frozen=True)
class Images:
    """Images to look at.

    Attributes:
        source: What names them, for sentences: an annotation file or a folder.
        paths: Their files.
        turns: Whether the loader obeys EXIF.
        decoded: Whether OpenCV decodes all of them, and a broken one ends the training.
        scales_deep: Whether the loader scales more than 8 bits.
        remedy: What to do about missing ones.
        least: Sides below this are filtered out.
    """

    source: str
    paths: list[str]
    turns: bool = True
    decoded: bool = True
    scales_deep: bool = False
    remedy: str = 'check data_prefix'
    least: int = 0


def spread(items: list, all_of_them: bool = False) -> list:
    """Up to :data:`SAMPLE` of the items, evenly spread, or all."""
    return items if all_of_them else items[:: max(1, -(-len(items) // SAMPLE))]


def look_at(
    findings: Findings, images: Images, thorough: bool = False, known: dict[str, Header] | None = None
) -> dict[str, Header]:
    """Look at images and tell what is wrong.

    Args:
        findings: Where to.
        images: Which ones.
        thorough: Look at all, with progress; else at a sample.
        known: Headers that were read before, to which those read now are added.

    Returns:
        The headers of those that were looked at, by their paths.
    """
    paths = spread(images.paths, thorough)
    known = {} if known is None else known
    new = [path for path in dict.fromkeys(paths) if path not in known]
    told = tracked(new, f'images of {os.path.basename(images.source.rstrip("/"))}', len(new)) if thorough else new
    known.update((path, read_header(path)) for path in told)
    headers = {path: known[path] for path in paths}
    _tell_missing(findings, images, headers)
    _tell_troubles(findings, images, headers)
    _tell_names(findings, images)
    sound = {path: header for path, header in headers.items() if not header.trouble and _is_image(images, path)}
    _tell_cut(findings, images, sound)
    _tell_sizes(findings, images, sound)
    _tell_modes(findings, images, sound)
    return headers


def read_by_opencv(path: str, header: Header) -> bool:
    """Whether OpenCV has a decoder for a file, by its first bytes and whatever its name is."""
    # OpenCV ends the process over a name that is no UTF-8.
    return not header.trouble and (header.kind in READ or not is_text(path) or cv2.haveImageReader(path))


def _is_image(images: Images, path: str) -> bool:
    """Whether a file has to be an image: where another loader than OpenCV's may take other files, by its name."""
    return images.decoded or path.lower().endswith(EXTENSIONS)


def _trouble_of(images: Images, path: str, header: Header) -> str:
    """Why an image that is there cannot be loaded; empty if nothing is known against it."""
    if images.decoded and not header.trouble and not read_by_opencv(path, header):
        return f'is in {header.kind}, which OpenCV does not read: convert it to JPEG or PNG'
    return header.trouble if _is_image(images, path) else ''


def _tell_missing(findings: Findings, images: Images, headers: dict[str, Header]) -> None:
    missing = [path for path, header in headers.items() if header.trouble == 'does not exist']
    dangling = [path for path, header in headers.items() if header.trouble.startswith('is a link')]
    if dangling:
        findings.error(
            'missing',
            images.source,
            f'{part_of(len(dangling), len(headers), "image")} looked for of {images.source} '
            f'{either(len(dangling), "is a link", "are links")} to a file that does not exist, such as {dangling[0]}, '
            f'which leads to {os.path.realpath(dangling[0])}; put that file there, or take the link out.',
            len(dangling),
            dangling,
        )
    if missing:
        slashes = all('\\' in path for path in missing)
        remedy = images.remedy + (', and write / for \\ in file_name' if slashes else '')
        near, above = near_file(missing[0]), file_above(missing[0])
        if near is not None:
            remedy = f'there is {near!r} beside it, so write the names as those of the files, or {remedy}'
        elif above is not None:
            too_much = os.path.relpath(os.path.dirname(missing[0]), os.path.dirname(above))
            remedy = f'there is {above}, so take {too_much!r} off the names, or {remedy}'
        findings.error(
            'missing',
            images.source,
            f'{part_of(len(missing), len(headers), "image")} looked for of {images.source} '
            f'{either(len(missing), "is", "are")} missing, such as {missing[0]}; {remedy}.',
            len(missing),
            missing,
        )


def _tell_troubles(findings: Findings, images: Images, headers: dict[str, Header]) -> None:
    """Tell of files that are there and no images, each kind once."""
    by_trouble = defaultdict(list)
    for path, header in headers.items():
        trouble = _trouble_of(images, path, header)
        if trouble and not trouble.endswith('not exist'):
            by_trouble[trouble].append(path)
    for trouble, paths in by_trouble.items():
        others = f' ({len(paths)} such files)' if len(paths) > 1 else ''
        what = f'put the right file there or take it out of {images.source}'
        end = '.' if 'permissions' in trouble else f'; {what}.'
        level = 'error' if images.decoded or not re.search('broken|OpenCV', trouble) else 'warning'
        findings.add(level, 'unreadable-image', paths[0], f'image {paths[0]} {trouble}{others}{end}', len(paths), paths)


def _tell_cut(findings: Findings, images: Images, headers: dict[str, Header]) -> None:
    """Tell of images whose beginning is sound and whose end is missing: a copy or a download that broke off."""
    cut = [path for path, header in headers.items() if header.cut]
    if cut:
        findings.warning(
            'cut-off',
            images.source,
            f'{part_of(len(cut), len(headers), "image")} looked at of {images.source} '
            f'{either(len(cut), "ends before its", "end before their")} format does, such as {cut[0]}: a copy that '
            'broke off, at which training stops, or whose rest it takes for gray; put the whole file there or take it '
            'out.',
            len(cut),
            cut,
        )


def _tell_names(findings: Findings, images: Images) -> None:
    odd = [path for path in images.paths if not is_text(path)]
    if odd:
        findings.warning(
            'file-name',
            images.source,
            f'{number_of(len(odd), "image")} of {images.source} {either(len(odd), "has", "have")} a name that is no '
            'UTF-8, '
            f'such as {odd[0]}, which many tools cannot read or print: rename {either(len(odd), "it", "them")}.',
            len(odd),
            odd,
        )


def _tell_sizes(findings: Findings, images: Images, headers: dict[str, Header]) -> None:
    """Tell of images that are too large to decode, or of almost no width or height."""
    huge = [path for path, header in headers.items() if header.width * header.height >= TOO_LARGE]
    if huge:
        header = headers[huge[0]]
        findings.error(
            'too-large',
            huge[0],
            f'image {huge[0]} is {header.width} x {header.height} by its header, which OpenCV does not decode (at '
            f'most 2^30 pixels): take it out of {images.source}, or cut it into tiles.',
            len(huge),
            huge,
        )
    large = [path for path, header in headers.items() if LARGE <= header.width * header.height < TOO_LARGE]
    if large:
        header = headers[large[0]]
        memory = 3 * header.width * header.height / 2**30
        findings.warning(
            'large',
            large[0],
            f'image {large[0]} is {header.width} x {header.height} and takes {memory:.1f} GiB in each worker: make it '
            'smaller, or cut it into tiles.',
            len(large),
            large,
        )
    narrow = [path for path, header in headers.items() if _is_narrow(header, images.least)]
    if narrow:
        header = headers[narrow[0]]
        findings.warning(
            'narrow',
            narrow[0],
            f'image {narrow[0]} is {header.width} x {header.height}, of which a resize can leave nothing, an error in '
            f'training ({len(narrow)} of {images.source}): take such images out.',
            len(narrow),
            narrow,
        )


def _is_narrow(header: Header, least: int) -> bool:
    short, long = sorted((header.width, header.height))
    return short >= least and (short < SHORT or long > LONG * short)


def _tell_modes(findings: Findings, images: Images, headers: dict[str, Header]) -> None:
    """Tell of images that lose something when they are made three channels of 8 bits."""
    deep = [path for path, header in headers.items() if header.deep]
    if deep and not images.scales_deep:
        findings.warning(
            'deep',
            images.source,
            f'{part_of(len(deep), len(headers), "image")} looked at of {images.source} '
            f'{either(len(deep), "has", "have")} 16 bits, such as {deep[0]}, of '
            'which mmcv keeps the upper 8: 10 or 12 bits in such a file become almost black; load them with '
            "type='sssd.LoadImage' "
            'in place of LoadImageFromFile, which scales them.',
            len(deep),
            deep,
        )
    modes = Counter(header.mode for header in headers.values())
    if modes['alpha'] or modes['CMYK']:
        odd = [path for path, header in headers.items() if header.mode in ('alpha', 'CMYK')]
        what = ' and '.join(
            text
            for mode, text in (
                ('alpha', 'with transparency, which is dropped'),
                ('CMYK', 'in CMYK, whose colours shift'),
            )
            if modes[mode]
        )
        findings.note(
            'mode',
            images.source,
            f'{number_of(len(odd), "image")} of {images.source} {either(len(odd), "is", "are")} {what}: {some(odd)}.',
            len(odd),
            odd,
        )
