"""Are ids unique and of one type, and do annotations name images and categories that are there?"""

import os
import re
from collections import Counter, defaultdict

import numpy as np

from sssd.checks.findings import Findings, either, level_of, number_of, part_of, some
from sssd.checks.table import Table


def check_ids(findings: Findings, table: Table, labelled: bool) -> None:
    """Look at all ids of a file.

    Args:
        findings: Where to.
        table: The file.
        labelled: Whether its annotations are used.
    """
    lists = dict(images=table.image_ids, categories=table.category_ids)
    if labelled:
        lists['annotations'] = table.ids
    for name, ids in lists.items():
        _check_type(findings, table.path, name, ids)
        _check_unique(findings, table.path, name, ids)
    _check_names(findings, table, labelled)
    if labelled:
        for field, ids, name, known in (
            ('image_id', table.owners, 'images', table.image_ids),
            ('category_id', table.kinds, 'categories', table.category_ids),
        ):
            found = table.image if name == 'images' else table.category
            _check_known(findings, table.path, field, ids, name, known, found < 0)


def _check_type(findings: Findings, path: str, name: str, ids: list) -> None:
    types = set(map(type, ids))
    if len(types) > 1 and str in types:
        text = next(each for each in ids if isinstance(each, str))
        number = next(each for each in ids if not isinstance(each, str))
        findings.error(
            'id-type',
            path,
            f'{path}: some ids of {name!r} are text, such as {text!r}, and others are numbers, such as {number!r}; '
            'make all of them whole numbers, where annotations name them too.',
        )
    elif float in types:
        findings.warning(
            'id-type',
            path,
            f'{path}: ids of {name!r} are written with a point, such as {ids[0]!r}; write whole numbers.',
        )
    elif str in types:
        findings.note(
            'id-type',
            path,
            f'{path}: ids of {name!r} are text, such as {ids[0]!r}, which many tools do not take; whole numbers are '
            'the standard.',
            len(ids),
        )


def _check_unique(findings: Findings, path: str, name: str, ids: list) -> None:
    if len(set(ids)) == len(ids):
        return
    twice = [each for each, count in Counter(ids).items() if count > 1]
    lost = len(ids) - len(set(ids))
    why = dict(
        images='boxes of one would go onto another',
        annotations='mmdet and pycocotools take one for the other',
        categories='boxes of one would count as the other',
    )
    findings.error(
        'duplicate-id',
        path,
        f'{path}: {number_of(len(twice), "id")} of {name!r} {either(len(twice), "stands", "stand")} for several '
        'entries '
        f'({some(twice)}; {number_of(lost, "entry")} too many), and {why[name]}; number them anew where files were '
        'put together.',
        lost,
        twice,
    )


def _check_names(findings: Findings, table: Table, labelled: bool) -> None:
    files = [os.path.normpath(name) if '/' in name else name for name in table.names]  # ./a.jpg is a.jpg
    if len(set(files)) < len(files):
        twice = [name for name, count in Counter(files).items() if count > 1]
        what = 'each has a part of the boxes, and the rest counts as background' if labelled else 'it counts twice'
        findings.add(
            'error' if labelled else 'warning',
            'duplicate-file',
            table.path,
            f"{table.path}: {number_of(len(twice), 'file_name')} of 'images' "
            f'{either(len(twice), "stands", "stand")} for several entries '
            f'({some(twice)}): {what}; join the entries of one file.',
            len(files) - len(set(files)),
            twice,
        )
    if len(set(table.classes)) < len(table.classes):
        twice = [name for name, count in Counter(table.classes).items() if count > 1]
        findings.error(
            'duplicate-class',
            table.path,
            f'{table.path} has several categories called {twice[0]!r}: give each a name of its own.',
            len(twice),
            twice,
        )
    _check_spelling(findings, table)


def folded(name: str) -> str:
    """A name without what spellings differ in: case, blanks and other signs; all of it if nothing else is left."""
    return ''.join(re.split(r'[\W_]+', name)).casefold() or name


def _check_spelling(findings: Findings, table: Table) -> None:
    """Find classes that differ in case and blanks alone."""
    alike = defaultdict(list)
    for name in dict.fromkeys(table.classes):
        alike[folded(name)].append(name)
    several = [names for names in alike.values() if len(names) > 1]
    if several:
        told = ' and '.join(map(repr, several[0]))
        findings.warning(
            'class-spelling',
            table.path,
            f'{table.path} has the categories {told}, which count as different classes: if they are one, give them one '
            'name and one id.',
            len(several),
            several[0],
        )


def _check_known(
    findings: Findings, path: str, field: str, ids: list, name: str, known: list, unknown: np.ndarray
) -> None:
    """Find annotations of images or categories that the file does not have."""
    count = int(unknown.sum())
    if not count:
        return
    absent = list(dict.fromkeys(ids[place] for place in np.flatnonzero(unknown)[:1000]))
    theirs, ours = {type(each) for each in absent}, {type(each) for each in known}
    text = f'write both as whole numbers (one is {absent[0]!r}, the other {known[0]!r})' if known else ''
    shift = 0 if field == 'image_id' else shifted(ids, known)
    if shift:
        text = f'they seem to be one too {"high" if shift > 0 else "low"} throughout, so that boxes have the class of '
        text += f'another category: {"take 1 from" if shift > 0 else "add 1 to"} every {field}'
    elif not known or not ({str} in (theirs, ours) and theirs != ours):
        text = f'add what is missing to {name!r}, or take {either(count, "this annotation", "these annotations")} out'
    findings.add(
        level_of(count, len(ids)),
        f'unknown-{field.removesuffix("_id")}',
        path,
        f'{path}: {part_of(count, len(ids), "annotation")} {either(count, "has", "have")} the {field} of no entry of '
        f'{name!r} ({some(absent)}), and {either(count, "is", "are")} left out without a word; {text}.',
        count,
        absent,
    )


def shifted(used: list, known: list) -> int:
    """1 or -1 where ids are those that are known, all one too high or too low; else 0."""
    if not all(type(each) is int for each in (*used, *known)) or set(used) <= set(known):
        return 0
    return next((shift for shift in (1, -1) if {each - shift for each in used} <= set(known)), 0)


def check_evaluated_ids(findings: Findings, what: str, table: Table, renumbers: bool) -> None:
    """Look at the annotation ids by which pycocotools marks what was detected: 0 is 'nothing' to it, text fails.

    Args:
        findings: Where to.
        what: The evaluator and its file, for the sentence.
        table: The file.
        renumbers: Whether the metric gives ids of its own.
    """
    if renumbers or not table.ids:
        return
    if any(isinstance(each, str) for each in table.ids):
        findings.error(
            'id-type',
            what,
            f'{what} has annotation ids that are text, such as {table.ids[0]!r}, which pycocotools does not take: use '
            "the metric type='sssd.CocoMetric', which numbers them itself, or make them whole numbers from 1 on.",
        )
    elif 0 in table.ids:
        findings.error(
            'annotation-id-0',
            what,
            f"{what} has an annotation of id 0, which pycocotools takes for 'nothing detected', so that the AP comes "
            "out too low: use the metric type='sssd.CocoMetric', which numbers them itself, or number them from 1 on.",
            examples=[0],
        )
