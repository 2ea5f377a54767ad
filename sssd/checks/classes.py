"""Do the classes of config, files and heads agree, in their order too?"""

import os
from collections.abc import Iterator, Sequence

from sssd.checks.findings import Findings, number_of
from sssd.checks.ids import folded
from sssd.checks.reading import text_lines
from sssd.checks.sources import class_of
from sssd.checks.table import Table
from sssd.errors import shorten


def classes_of(findings: Findings, key: str, dataset: dict) -> tuple[str, ...]:
    """Class names of a data set as mmdet takes them from its config."""
    classes = (dataset.get('metainfo') or {}).get('classes')
    if isinstance(classes, str):
        if not os.path.isfile(classes):
            findings.error(
                'classes', key, f"{key}.metainfo.classes is the text {classes!r}; give a tuple such as ('{classes}',)."
            )
            return ()
        classes = text_lines(classes)
    if classes is None:
        classes = getattr(class_of(dataset), 'METAINFO', {}).get('classes', ())
    return tuple(classes)


def check_names(findings: Findings, key: str, table: Table, classes: Sequence[str], labelled: bool) -> bool:
    """Compare the classes of a config with the categories of a file; whether they agree.

    Args:
        findings: Where to.
        key: The data set's key in the config.
        table: The file.
        classes: Names in the config.
        labelled: Whether its labels are used.
    """
    names, known = table.classes, set(table.classes)
    unknown = [name for name in classes if name not in known] if labelled or names else []
    if unknown:
        theirs = {folded(name): name for name in names}
        near = next((name for name in unknown if folded(name) in theirs), None)
        remedy = "add what is missing to its 'categories', or set metainfo=dict(classes=...) to these"
        if near is not None:
            remedy = (
                f'{near!r} and {theirs[folded(near)]!r} differ in spelling alone, so write one of them in all files'
            )
        findings.error(
            'classes',
            key,
            f'{key}.metainfo.classes names {shorten(unknown)}, which {table.path} does '
            f'not have; its categories are {shorten(names)}: {remedy}.',
        )
        return False
    order = [name for name in names if name in set(classes)]
    if labelled and list(dict.fromkeys(order)) != list(classes):
        findings.error(
            'class-order',
            table.path,
            f'{table.path} of {key} lists its categories as {shorten(order)}, but the classes are '
            f'{shorten(classes)}: mmdet numbers them in the order of the file, so bring both into one.',
        )
        return False
    return True


def check_same_classes(findings: Findings, sets: list[tuple[str, dict]]) -> tuple[str, ...] | None:
    """Class names shared by the data sets of one loader; None where a class is unknown."""
    first = None
    for key, dataset in sets:
        classes = classes_of(findings, key, dataset)
        if first is None:
            first = key, classes
        elif classes != first[1]:
            findings.error(
                'classes',
                key,
                f'{key} and {first[0]} have different classes ({shorten(classes)}; '
                f'{shorten(first[1])}); give both the same metainfo.',
            )
    return first[1] if first and first[1] else None


def check_num_classes(findings: Findings, model: dict, classes: Sequence[str]) -> None:
    """Compare the number of classes with those of the model's heads."""
    for key, number in _head_classes('model', model):
        if number != len(classes):
            findings.error(
                'num-classes',
                key,
                f'{key}.num_classes={number} does not fit the {number_of(len(classes), "class")} '
                f'of the data ({shorten(classes)}); set it to {len(classes)}.',
            )


def _head_classes(key: str, node, in_head: bool = False) -> Iterator[tuple[str, int]]:
    """(key, num_classes) of the heads that tell the data's classes apart: neither RPN nor masks
    of stuff."""
    if isinstance(node, (list, tuple)):
        for number, inner in enumerate(node):
            yield from _head_classes(f'{key}[{number}]', inner, in_head)
    elif isinstance(node, dict):
        if in_head and isinstance(node.get('num_classes'), int):
            yield key, node['num_classes']
        for name, inner in node.items():
            if name.startswith(('rpn', 'semantic', 'seg')):
                continue
            yield from _head_classes(f'{key}.{name}', inner, in_head or name.endswith('head'))


def check_parts_agree(findings: Findings, known: dict[str, Sequence[str]]) -> None:
    """Tell of other classes, or another order of them, for evaluation than for training: a label is a place in it."""
    for (first, ours), (second, theirs) in zip(known.items(), list(known.items())[1:]):
        if ours != theirs:
            findings.error(
                'classes',
                second,
                f'{first} and {second} have different classes ({shorten(ours)}; {shorten(theirs)}), or '
                'another order of them; give both the same metainfo=dict(classes=...), and categories in '
                'its order.',
            )
