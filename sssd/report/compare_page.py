"""The page of several runs side by side: AP, differences with intervals, curves, and where the configs differ."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path

from mmengine.config import Config

from sssd import provenance
from sssd.checkpoints.files import newest_checkpoint
from sssd.errors import UserError
from sssd.progress import tracked
from sssd.report.config_differences import config_differences
from sssd.report.contact_sheet import GROUND_TRUTH, draw_rows, refuse_other_classes
from sssd.report.detected import Found, Images, OverSeeds, images_and_kept, look, roles_of, rows_of
from sssd.report.kept import Kept
from sssd.report.page import Page
from sssd.report.scalars import ROLES, history, read_curves
from sssd.report.sections import BRACKET, SCORE, config_of, drawn_curves, interval

#: Most columns of figures with intervals that a screen has room for.
BESIDE = 5
CHANCE = 'A difference whose bracket has 0 in it may be chance.'


def write_comparison(runs: Mapping[str, str | Path], out: str | Path, images: int = 100, device: str = 'cpu') -> Path:
    """Write the page of several runs.

    Args:
        runs: Their work directories by name.
        out: The page.
        images: Most validation images of the first run that all of them are run on; 0 for none.
        device: Where.

    Returns:
        The page.

    Raises:
        UserError: If a directory holds no run, or two runs have not the same classes.
    """
    *others, last = runs
    page = Page(f'{", ".join(others)} and {last}', f'{len(runs)} runs side by side; written {provenance.now()}.')
    curves = {name: read_curves(place) for name, place in runs.items()}
    page.section('Validation', 'AP in percent at the last evaluation of each.')
    page.table(
        ['', 'whose', 'iteration', 'AP', 'AP50', 'AP75'],
        [
            [name, role, rows[-1]['iter'], *(rows[-1].get(key) for key in ('AP', 'AP50', 'AP75'))]
            for name, one in curves.items()
            for role, rows in history(one).items()
        ],
    )
    with tempfile.TemporaryDirectory() as folder:
        steps = list(comparison(page, runs, images, device, Path(folder)))
        if any(curves.values()):
            steps.append(partial(drawn_curves, page, {name: [one] for name, one in curves.items()}, Path(folder)))
        for make in tracked(steps, f'writing {Path(out).name}', len(steps)):
            make()
    return page.write(out)


def comparison(
    page: Page, runs: Mapping[str, str | Path], images: int, device: str, folder: Path
) -> Iterator[Callable[[], None]]:
    """Differences of runs with intervals, the images on which they differ, and where their configs do.

    Args:
        page: It goes there.
        runs: Their work directories by name.
        images: Most validation images of the first run that all of them are run on; 0 for none.
        device: Where.
        folder: For pictures meanwhile.

    Yields:
        What is to be done, one after the other.
    """
    places = {name: Path(place) for name, place in runs.items()}
    configs = {name: config_of(place) for name, place in places.items()}
    if images:
        seen, kept = images_and_kept(next(iter(configs.values())), places, images)
        each: dict[str, dict[str, Found]] = {}

        def look_at(name: str) -> None:
            roles = roles_of(configs[name])[:1]
            each[name] = found_by(name, places[name], configs[name], seen, device, kept[name], roles)

        yield from (partial(look_at, name) for name in runs)
        yield lambda: differences(page, *teachers(each), seen)
        yield lambda: most_different(page, teachers(each)[0], seen, folder)
    yield lambda: configs_apart(page, configs)


def configs_apart(page: Page, configs: Mapping[str, Config]) -> None:
    """Where configs differ."""
    page.section('Where the configs differ', 'A dash: the run has no such key.')
    page.table(['key', *configs], config_differences(configs))


def found_by(
    name: str,
    place: Path,
    config: Config,
    images: Images,
    device: str,
    kept: Kept | None = None,
    roles: Sequence[str] | None = None,
) -> dict[str, Found]:
    """What a run's models found at its last validation, or find at the newest checkpoint; ``roles``: these alone.

    Raises:
        UserError: If there is neither, its classes are others, or it is not validated on all of the images.
    """
    checkpoint = newest_checkpoint(place, say=lambda _: None) if kept is None else None
    if kept is None and checkpoint is None:
        raise UserError(f'{place} ({name}) has no checkpoint to compare: train on, or leave it out.')
    own = Images.of(config, sys.maxsize)
    refuse_other_classes({'the first run': images.classes, name: own.classes})
    others = set(map(os.path.realpath, images.paths)).difference(map(os.path.realpath, own.paths))
    if others:
        raise UserError(
            f'{name} is validated on other images than the first run, such as {min(others)} of that one, which it may '
            'have been trained on: compare runs with one validation part, or leave images out with --images 0.'
        )
    return look(config, checkpoint, images, device, kept, roles)


def teachers(each: Mapping[str, Mapping[str, Found]]) -> tuple[dict[str, Found], list[tuple[str, str]]]:
    """The teacher of each run, or its one model, and every two of them."""
    found = {name: roles.get('teacher') or next(iter(roles.values())) for name, roles in each.items()}
    return found, list(combinations(found, 2))


def everyone(
    each: Mapping[str, Mapping[str, Found | OverSeeds]],
) -> tuple[dict[str, Found | OverSeeds], list[tuple[str, str]]]:
    """All models of each run; each beside the first run's of the same role, and each teacher beside its student."""
    names = {run: {role: run if len(roles) == 1 else f'{run} {role}' for role in roles} for run, roles in each.items()}
    found = {names[run][role]: one for run, roles in each.items() for role, one in roles.items()}
    first, *others = names.values()
    pairs = [(first.get(role, next(iter(first.values()))), name) for run in others for role, name in run.items()]
    return found, pairs + [(run['student'], run['teacher']) for run in names.values() if set(ROLES) <= set(run)]


def differences(page: Page, found: Mapping[str, Found], pairs: Sequence[tuple[str, str]], images: Images) -> None:
    """AP by class of every model, and each pair's difference, second less first, image by image."""
    page.section(
        'Differences',
        f'On {len(images.infos)} validation images, the same for all, by the teacher where there is one: AP in percent '
        f'and, {BRACKET}. {CHANCE}',
    )
    values = [[name, *(interval(one.ap(label)) for one in found.values())] for name, label in labels_of(images)]
    head, apart = apart_of(found, pairs, images)
    if len(found) + len(pairs) <= BESIDE:
        page.table(['', *found, *head[1:]], [[*row, *more] for row, (_, *more) in zip(values, apart)])
        return
    page.table(['', *found], values)
    page.table(head, apart)


def labels_of(images: Images) -> list[tuple[str, int | None]]:
    """What AP is told of, with its name: all classes together, then each."""
    return [('all', None), *((str(name), label) for label, name in enumerate(images.classes))]


def apart_of(
    found: Mapping[str, Found | OverSeeds], pairs: Sequence[tuple[str, str]], images: Images
) -> tuple[list[str], list[list[str | None]]]:
    """The table of each pair's difference, second less first, of all classes and by class."""
    head = ['', *(f'{second} less {first}' for first, second in pairs)]
    return head, [
        [name, *(interval(found[second].ap(label) - found[first].ap(label)) for first, second in pairs)]
        for name, label in labels_of(images)
    ]


def most_different(
    page: Page, found: Mapping[str, Found | OverSeeds], images: Images, folder: Path, count: int = 4
) -> None:
    """The images on which the models' APs lie furthest apart."""
    values = [one.by_image() for one in found.values()]
    apart = [max(column) - min(column) for column in zip(*values)]
    known = [number for number, value in enumerate(apart) if value == value]
    rows = rows_of(images, sorted(known, key=lambda number: -apart[number])[:count], found, SCORE)
    if rows:
        page.section('Where they differ most', 'The images on which their APs lie furthest apart.')
        path = draw_rows(rows, [GROUND_TRUTH, *found], images.classes, folder / 'differ.png', SCORE)
        page.picture(path, f'Detections with a score of {SCORE} or more')
