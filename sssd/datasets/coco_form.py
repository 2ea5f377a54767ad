"""Is the content of a JSON file what COCO's format says?  Every entry and every type, in columns, for speed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

LISTS = ('images', 'annotations', 'categories')
#: What an entry has to have, and what it may have, by the kind of the value.
NEEDED = dict(
    images=dict(id='id', file_name='name', width='size', height='size'),
    annotations=dict(id='id', image_id='id', category_id='id', bbox='box'),
    categories=dict(id='id', name='text'),
)
OPTIONAL = dict(annotations=dict(area='number', iscrowd='flag', ignore='flag'))
#: The types of each kind, and what a sentence calls it.
TYPES = dict(
    id={int, str, float}, name={str}, size={int, float}, number={int, float}, text={str}, flag={int, bool, float}
)
SAID = dict(
    id='a whole number', name='the name of a file', size='a number above 0', number='a number', text='a text',
    flag='0 or 1',
)  # fmt: skip
#: Python's float ends here; larger whole numbers are valid JSON all the same.
LARGEST = 2**63


@dataclass(frozen=True)
class Fault:
    """Entries that are not as they should be.

    Attributes:
        sentence: What is the matter and what to do; it names the file, the list and the first entry.
        name: Which list; empty if it is the file as a whole.
        positions: Which entries.
    """

    sentence: str
    name: str = ''
    positions: tuple[int, ...] = ()


def faults_of(path, coco, annotations: bool = True, image_fields: Sequence[str] | None = None) -> Iterator[Fault]:
    """All faults of form in what a JSON file holds.

    Args:
        path: The file, for the sentences.
        coco: Its content, whatever it is.
        annotations: Whether ``annotations`` must be there; an unlabelled file may do without.
        image_fields: What each image must have; None is all of :data:`NEEDED`.
    """
    lists = [key for key in LISTS if annotations or key != 'annotations' or _has(coco, key)]
    missing = [key for key in lists if not isinstance(coco, dict) or not isinstance(coco.get(key), list)]
    if missing:
        yield Fault(
            f'{path} is not in COCO format: it lacks the list(s) {", ".join(missing)}; convert it to COCO first.'
        )
    for name in lists:
        if name not in missing:
            needed = NEEDED[name]
            if name == 'images' and image_fields is not None:
                needed = {key: needed[key] for key in image_fields}
            yield from _of_list(path, coco[name], name, needed)


def without(coco: dict, faults: Sequence[Fault]) -> dict:
    """The lists of ``coco`` without the entries that have a fault; lists that are none are empty."""
    bad = {name: set(chain.from_iterable(f.positions for f in faults if f.name == name)) for name in LISTS}
    kept = {}
    for name in LISTS:
        entries = coco.get(name) if isinstance(coco, dict) else None
        entries = entries if isinstance(entries, list) else []
        kept[name] = [entry for i, entry in enumerate(entries) if i not in bad[name]] if bad[name] else entries
    return kept


def _has(coco, key: str) -> bool:
    return isinstance(coco, dict) and coco.get(key) is not None


def _of_list(path, entries: list, name: str, needed: dict) -> Iterator[Fault]:
    """Faults of one list."""
    if set(map(type, entries)) - {dict}:
        where = tuple(i for i, entry in enumerate(entries) if not isinstance(entry, dict))
        yield Fault(
            f'{path} is not in COCO format: entry {where[0]} of {name!r} is {_text(entries[where[0]])!r}, but has to '
            f'be an object with {", ".join(map(repr, needed))}{_more(where)}; correct it or take it out.',
            name,
            where,
        )
        entries = [entry if isinstance(entry, dict) else None for entry in entries]
    for key, kind in needed.items():
        where = tuple(i for i, entry in enumerate(entries) if entry is not None and key not in entry)
        if where:
            yield Fault(
                f'{path} is not in COCO format: entry {where[0]} of {name!r} has no {key!r}{_more(where)}; add it.',
                name,
                where,
            )
        yield from _of_field(path, entries, name, key, kind)
    for key, kind in OPTIONAL.get(name, {}).items():
        yield from _of_field(path, entries, name, key, kind)


def _of_field(path, entries: list, name: str, key: str, kind: str) -> Iterator[Fault]:
    """The fault of one field in those entries that have it."""
    absent = _ABSENT
    values = [absent if entry is None else entry.get(key, absent) for entry in entries]
    where = tuple(_bad_boxes(values) if kind == 'box' else _bad_values(values, kind))
    if not where:
        return
    value = _text(values[where[0]])
    if kind == 'box':
        yield Fault(
            f'{path}: the bbox of entry {where[0]} of {name!r} is {value}, but has to be [x, y, width, height]'
            f'{_more(where)}; correct it or take the entry out.',
            name,
            where,
        )
    else:
        yield Fault(
            f'{path}: {key!r} of entry {where[0]} of {name!r} is {value!r}, but has to be {SAID[kind]}{_more(where)}; '
            'correct it or take the entry out.',
            name,
            where,
        )


class _Absent:
    """Stands for what an entry does not have."""


_ABSENT = _Absent()


def _bad_values(values: list, kind: str) -> Iterator[int]:
    """Positions of values that are not of a kind."""
    types = set(map(type, values)) - {_Absent}
    allowed = TYPES[kind]
    plain = types <= allowed
    if plain and (kind == 'text' or (kind == 'id' and types <= {int, str})) and '' not in values:
        return
    if plain and kind in ('size', 'number', 'flag') and float not in types and _in_range(values, kind):
        return
    for position, value in enumerate(values):
        if value is _ABSENT or (kind == 'flag' and value is None):
            continue
        if type(value) not in allowed or not _FITS[kind](value):
            yield position


def _in_range(values: list, kind: str) -> bool:
    """Whether whole numbers, those that are there, can all be of a kind."""
    numbers = [value for value in values if value is not _ABSENT] if _ABSENT in values else values
    return not numbers or (min(numbers) >= (1 if kind == 'size' else -LARGEST) and max(numbers) < LARGEST)


def _is_small(value) -> bool:
    """Whether a number is no whole number beyond what a table holds; NaN passes, which is asked about elsewhere."""
    return not isinstance(value, int) or -LARGEST <= value < LARGEST


_FITS = dict(
    id=lambda value: value != '' and (not isinstance(value, float) or value.is_integer()),
    name=lambda value: value != '' and '\0' not in value,
    size=lambda value: 0 < value < LARGEST,
    number=_is_small,
    text=lambda value: value != '',
    flag=_is_small,
)


def _bad_boxes(values: list) -> Iterator[int]:
    """Positions of what is no list of four numbers."""
    boxes = [value for value in values if value is not _ABSENT] if _ABSENT in values else values
    if set(map(type, boxes)) <= {list} and set(map(len, boxes)) <= {4}:
        numbers = list(chain.from_iterable(boxes))
        types = set(map(type, numbers))
        if types <= {int, float} and (int not in types or max(map(abs, numbers), default=0) < LARGEST):
            return
    for position, box in enumerate(values):
        if box is _ABSENT:
            continue
        if type(box) is not list or len(box) != 4 or not all(type(side) in (int, float) for side in box):
            yield position
        elif not all(_is_small(side) for side in box):
            yield position


def _text(value) -> str:
    """The beginning of a value, as a sentence shows it."""
    try:
        text = str(value)
    except (ValueError, RecursionError):  # a whole number of thousands of digits, or lists a thousand deep
        text = f'a {type(value).__name__}'
    return text[:40]


def _more(where: Sequence[int]) -> str:
    return f' ({len(where)} such entries)' if len(where) > 1 else ''
