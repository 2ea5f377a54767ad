"""Do width and height in the annotation file agree with the images, as the loader decodes them, EXIF turn included?"""

import numpy as np

from sssd.checks.findings import Findings, either, level_of, part_of
from sssd.checks.headers import Header
from sssd.checks.table import Table


def check_sizes(
    findings: Findings,
    table: Table,
    paths: list[str],
    headers: dict[str, Header],
    turns: bool = True,
    labelled: bool = True,
) -> np.ndarray:
    """Compare the sizes of a file with those of its images.

    Args:
        findings: Where to.
        table: The file.
        paths: The path of each of its images.
        headers: Headers of all images or some, by their paths.
        turns: Whether the loader obeys EXIF.
        labelled: Whether its boxes are used; a wrong size is no error if not.

    Returns:
        (M,) which images have another size.
    """
    sizes = {place: headers[path].size(turns) for place, path in enumerate(paths) if _is_known(headers.get(path))}
    wrong = np.zeros(len(paths), bool)
    for place, size in sizes.items():
        wrong[place] = tuple(table.sizes[place]) != size
    places = np.flatnonzero(wrong)
    turned = [place for place in places if _is_turn(table, place, headers[paths[place]], sizes[place])]
    others = [place for place in places if place not in set(turned)]
    if turned:
        _tell_turned(findings, table, turned, paths, _level(len(turned), len(sizes), labelled), len(sizes))
    if others:
        first = others[0]
        found, said = sizes[first], table.sizes[first]
        findings.add(
            _level(len(others), len(sizes), labelled),
            'size',
            table.path,
            f'{table.path}: width and height of {part_of(len(others), len(sizes), "image")} looked at are not those '
            'of the '
            f'file, such as {said[0]:g} x {said[1]:g} for {paths[first]}, which is {found[0]} x {found[1]}: boxes '
            'belong to another size, so export them anew for these files, or put the files there that they were '
            'drawn on.',
            len(others),
            [table.names[place] for place in others],
        )
    return wrong


def _is_known(header: Header | None) -> bool:
    return header is not None and not header.trouble


def _is_turn(table: Table, place: int, header: Header, size: tuple[int, int]) -> bool:
    return header.turned and tuple(table.sizes[place]) == size[::-1]


def _level(count: int, total: int, labelled: bool) -> str:
    return level_of(count, total) if labelled else 'warning'


def _tell_turned(findings: Findings, table: Table, turned: list[int], paths: list[str], level: str, total: int) -> None:
    """Tell of photos that the loader turns and the file does not, or the other way round."""
    first, count = turned[0], len(turned)
    said = table.sizes[first]
    fits = _boxes_fit(table, turned)
    if fits == 'turned':
        remedy = 'the boxes fit the turned images, so exchange width and height of these images in the file'
    else:
        remedy = (
            "the boxes fit the unturned images, so load them so (color_type='color_ignore_orientation' of "
            'LoadImageFromFile), or take the EXIF tag out of the photos'
        )
    findings.add(
        level,
        'exif',
        table.path,
        f'{table.path}: {part_of(count, total, "image")} looked at {either(count, "has", "have")} an EXIF tag by '
        f'which the loader turns {either(count, "it", "them")}, but width and height in the file are unturned, '
        f'such as {said[0]:g} x {said[1]:g} for {paths[first]}: boxes '
        f'are cut or dropped; {remedy}.',
        len(turned),
        [table.names[place] for place in turned],
    )


def _boxes_fit(table: Table, turned: list[int]) -> str:
    """Whether boxes of these images fit them turned or as the file has them, by how many reach outside of each."""
    chosen = np.isin(table.image, turned) & table.finite
    boxes, sizes = table.boxes[chosen], table.sizes[table.image[chosen]]
    ends = boxes[:, :2] + boxes[:, 2:]
    outside = int((ends > sizes + 1).any(axis=1).sum())
    outside_turned = int((ends > sizes[:, ::-1] + 1).any(axis=1).sum())
    return 'turned' if outside_turned < outside else 'unturned'
