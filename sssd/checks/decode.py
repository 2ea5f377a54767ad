"""Does every image decode, and do images that are trained with look like those that are evaluated on?"""

import os
import re
from collections import defaultdict

from sssd.checks.alike import alike
from sssd.checks.files import LARGE, read_by_opencv
from sssd.checks.findings import either, number_of
from sssd.checks.guarded import Decoded, decode
from sssd.checks.overlap import PAIRS
from sssd.checks.run import Run
from sssd.progress import tracked

#: So large a part of the images to evaluate on is no accident.
MANY_ALIKE = 0.1


def decode_all(run: Run, workers: int | None = None, timeout: float = 30.0) -> None:
    """Decode every image that was looked at, with progress, and tell of those that fail.

    Args:
        run: A thorough run of the checks, whose findings grow.
        workers: Number of processes; None is as many as there are cores.
        timeout: Seconds that one image may take.
    """
    paths = [path for path, header in run.headers.items() if _is_tried(path, header)]
    workers = workers or len(os.sched_getaffinity(0))
    done = list(tracked(decode(paths, workers, timeout), 'decoding', len(paths)))
    run.findings.found = [finding for finding in run.findings.found if finding.kind != 'cut-off']  # now it is known
    order = {path: place for place, path in enumerate(paths)}
    done.sort(key=lambda result: order[result.path])
    _tell_troubles(run, done)
    _tell_alike(run, {result.path: result.fingerprints for result in done if result.fingerprints})
    run.findings.lines.append(
        f'{number_of(len(done), "image")} decoded, {sum(result.fatal for result in done)} of them failed'
    )


def _is_tried(path: str, header) -> bool:
    """Whether a file is an image to decode, whatever its name is; of one too large that is told already."""
    return read_by_opencv(path, header) and header.width * header.height < LARGE


def _tell_troubles(run: Run, done: list[Decoded]) -> None:
    by_trouble = defaultdict(list)
    for result in done:
        if result.trouble:  # decoders count bytes, so alike is what differs in numbers alone
            by_trouble[re.sub(r'\d+', '0', result.trouble), result.fatal].append(result)
    for (_, fatal), results in by_trouble.items():
        paths, trouble = [result.path for result in results], results[0].trouble
        others = f' ({number_of(len(paths), "such file")})' if len(paths) > 1 else ''
        run.findings.add(
            'error' if fatal else 'warning',
            'decode',
            paths[0],
            f'image {paths[0]} {trouble}{others}; put the right file there or take it out of the data set.',
            len(paths),
            paths,
        )


def _tell_alike(run: Run, fingerprints: dict[str, tuple[int, ...]]) -> None:
    """Tell of near-duplicates in sources that must not share images, but for those that are the same."""
    for first in run.sources:
        for second in run.sources:
            if (first.role, second.role) not in PAIRS:
                continue
            ours, theirs = (
                {path: fingerprints[path] for path in source.paths if path in fingerprints and path not in run.shared}
                for source in (first, second)
            )
            pairs = alike({path: all_of_it[0] for path, all_of_it in ours.items()}, theirs)
            if pairs:
                path, other, turned = pairs[0]
                count, others = len(pairs), sum(turned for *_, turned in pairs)
                of_these = f'; {others} of them {either(others, "does", "do")} mirrored or turned' if others else ''
                run.findings.add(
                    'warning' if second.role == 'val' and count >= MANY_ALIKE * len(second.paths) else 'note',
                    'alike',
                    first.name,
                    f'{number_of(count, "image")} of {second.name} {either(count, "looks", "look")} like images of '
                    f'{first.name}{of_these}, such as {other} like {path}'
                    f'{", mirrored or turned" if turned else ""}: see whether they are of one scene, such as frames of '
                    'one video, or copies that an export made.',
                    count,
                    [other for _, other, _ in pairs],
                )
