"""Are there unlabelled images of another kind than the labelled ones: masks, depth maps, thumbnails?"""

from sssd.checks.findings import Findings, either, part_of, shown
from sssd.checks.headers import Header
from sssd.checks.overlap import Source

#: Modes that masks and depth maps have, and how to call an image of one.
MODES = dict(gray='gray', palette='of a palette')
#: An image is small if a side of the square of its area is below this share of that of every labelled image.
SMALL = 0.25


def check_strangers(findings: Findings, sources: list[Source]) -> None:
    """Tell of unlabelled images that no labelled one is like, in colour or in size; they are learnt from like others.

    Args:
        findings: Where to.
        sources: All that the config has.
    """
    known = [header for source in sources if source.role == 'labelled' for header in _sound(source).values()]
    if not known:
        return
    modes, least = {header.mode for header in known}, SMALL**2 * min(map(_pixels, known))
    for source in sources:
        if source.role != 'unlabelled':
            continue
        found = _sound(source)
        for mode, how in MODES.items():
            strange = [path for path, header in found.items() if header.mode == mode and mode not in modes]
            _tell(findings, source, len(found), strange, f'{how}, as no labelled one is', 'masks or depth maps')
        strange = [path for path, header in found.items() if _pixels(header) < least]
        _tell(findings, source, len(found), strange, 'far smaller than all labelled ones', 'thumbnails')


def _sound(source: Source) -> dict[str, Header]:
    return {path: header for path, header in source.headers.items() if not header.trouble}


def _pixels(header: Header) -> int:
    return header.width * header.height


def _tell(findings: Findings, source: Source, total: int, strange: list[str], how: str, what: str) -> None:
    if strange:
        count = len(strange)
        findings.note(
            'stranger',
            source.name,
            f'{part_of(count, total, "image")} looked at of {source.name} {either(count, "is", "are")} {how}, such as '
            f'{shown(strange[0])}: if these are {what}, take them out of the unlabelled ones.',
            count,
            strange,
        )
