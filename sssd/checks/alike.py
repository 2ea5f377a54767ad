"""Which images of two sources look alike, by their fingerprints."""

from collections import defaultdict
from collections.abc import Mapping

#: So many of the 64 bits may differ; four parts of 16 bits, so that one at least is then equal.
DIFFERENT = 3
_PARTS = (0, 16, 32, 48)
#: Images of one colour have few bits, or nearly all, and look like one another; parts shared by many say nothing.
FEWEST, CROWDED = 10, 200


def alike(first: Mapping[str, int], second: Mapping[str, int]) -> list[tuple[str, str]]:
    """Pairs of paths (of first, of second) whose fingerprints hardly differ; of each path of the second, one pair.

    Args:
        first: Fingerprints by path.
        second: Likewise.
    """
    swapped = len(second) > len(first)  # the index is made of the smaller one
    small, large = (first, second) if swapped else (second, first)
    index = defaultdict(list)
    for path, bits in small.items():
        if FEWEST <= bits.bit_count() <= 64 - FEWEST:
            for part in _PARTS:
                index[part, bits >> part & 0xFFFF].append((path, bits))
    found = {}
    for path, bits in large.items():
        for part in _PARTS:
            group = index.get((part, bits >> part & 0xFFFF), ())
            for other, theirs in group if len(group) <= CROWDED else ():
                if (bits ^ theirs).bit_count() <= DIFFERENT:
                    ours, evaluated = (other, path) if swapped else (path, other)
                    found.setdefault(evaluated, ours)
    return [(ours, evaluated) for evaluated, ours in found.items()]
