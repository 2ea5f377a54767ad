"""Which images of two sources look alike, by their fingerprints, also where one is mirrored or turned."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

#: So many of the 64 bits may differ; four parts of 16 bits, so that one at least is then equal.
DIFFERENT = 3
_PARTS = (0, 16, 32, 48)
#: Images of one colour have few bits, or nearly all, and look like one another; parts shared by many say nothing.
FEWEST, CROWDED = 10, 200


def alike(first: Mapping[str, int], second: Mapping[str, Sequence[int]]) -> list[tuple[str, str, bool]]:
    """Pairs of paths (of first, of second) whose fingerprints hardly differ; of each path of the second, one pair.

    Args:
        first: Fingerprints by path.
        second: Those of every image as it is, then mirrored and turned (:func:`~sssd.checks.guarded.fingerprints`).

    Returns:
        Pairs, each with whether the image of the second looks so only when it is mirrored or turned.
    """
    ours = [(path, bits, False) for path, bits in first.items() if _says_much(bits)]
    theirs = [
        (path, bits, place > 0) for path, all_of_it in second.items() for place, bits in enumerate(all_of_it)
        if _says_much(bits)
    ]  # fmt: skip
    swapped = len(theirs) > len(ours)  # the index is made of the fewer ones
    few, many = (ours, theirs) if swapped else (theirs, ours)
    index = defaultdict(list)
    for row in few:
        for part in _PARTS:
            index[part, row[1] >> part & 0xFFFF].append(row)
    found = {}
    for row in many:
        for part in _PARTS:
            group = index.get((part, row[1] >> part & 0xFFFF), ())
            for other in group if len(group) <= CROWDED else ():
                if (row[1] ^ other[1]).bit_count() <= DIFFERENT:
                    (mine, *_), (evaluated, _, turned) = (other, row) if swapped else (row, other)
                    if evaluated not in found or found[evaluated][1] > turned:
                        found[evaluated] = mine, turned
    return [(mine, evaluated, turned) for evaluated, (mine, turned) in found.items()]


def _says_much(bits: int) -> bool:
    return FEWEST <= bits.bit_count() <= 64 - FEWEST
