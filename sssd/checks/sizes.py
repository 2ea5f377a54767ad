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
    if turns and labelled:
        _tell_moved(findings, table, [place for place in sizes if not wrong[place]], paths, headers)
    if others:
        first = others[0]
        found, said = sizes[first], table.sizes[first]
        findings.add(
            _level(len(others), len(sizes), labelled),
            'size',
            table.path,
            f'{table.path}: width and height of {part_of(len(others), len(sizes), "image")} looked at are not those '
            'of the '
            f'file, such as {said[0]:g} x {said[1]:g} for {paths[first]}, which is {found[0]} x {found[1]}: '
            + _remedy(table, others, sizes),
            len(others),
            [table.names[place] for place in others],
        )
    return wrong


def _remedy(table: Table, places: list[int], sizes: dict[int, tuple[int, int]]) -> str:
    """What to do about images of other sizes: their boxes may fit the files, and not what is said of them."""
    found = np.full((len(table.image_ids) + 1, 2), np.nan)
    found[places] = [sizes[place] for place in places]
    chosen = np.isin(table.image, places) & table.finite
    with np.errstate(over='ignore'):
        ends = table.boxes[chosen, :2] + table.boxes[chosen, 2:]
    said, real = table.sizes[table.image[chosen]], found[table.image[chosen]]
    if len(ends) and (ends <= real + 1).all() and (ends > said + 1).any():
        return 'all boxes fit the files, and not what is said of them, so write width and height of the files.'
    return (
        'boxes belong to another size, so export them anew for these files, or put the files there that they were '
        'drawn on.'
    )


def _tell_moved(
    findings: Findings, table: Table, places: list[int], paths: list[str], headers: dict[str, Header]
) -> None:
    """Tell of photos that the loader turns upside down or mirrors: their size does not show what boxes are of."""
    boxed = set(table.image)
    moved = [place for place in places if place in boxed and headers[paths[place]].hidden_turn]
    if moved:
        findings.note(
            'exif-moved',
            table.path,
            f'{table.path}: {part_of(len(moved), len(places), "image")} looked at {either(len(moved), "has", "have")} '
            f'an EXIF tag by which the loader turns or mirrors {either(len(moved), "it", "them")} within the same '
            f'size, such as {paths[moved[0]]}: boxes have to be those of the picture as viewers show it; if they were '
            "drawn on the stored one, load it so (color_type='color_ignore_orientation' of LoadImageFromFile).",
            len(moved),
            [table.names[place] for place in moved],
        )


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
