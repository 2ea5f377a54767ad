"""Is the content of a JSON file what COCO's format says?  Every entry and every type, in columns, for speed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter

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


def faults_of(
    path, coco, annotations: bool = True, image_fields: Sequence[str] | None = None, columns: dict | None = None
) -> Iterator[Fault]:
    """All faults of form in what a JSON file holds.

    Args:
        path: The file, for the sentences.
        coco: Its content, whatever it is.
        annotations: Whether ``annotations`` must be there; an unlabelled file may do without.
        image_fields: What each image must have; None is all of :data:`NEEDED`.
        columns: Gets the values of each field by (list, field), those of boxes one after the other; :data:`ABSENT` is
            for what an entry does not have.
    """
    columns = {} if columns is None else columns
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
            yield from _of_list(path, coco[name], name, needed, columns)


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
    return isinstance(coco, dict) and key in coco


def _of_list(path, entries: list, name: str, needed: dict, columns: dict) -> Iterator[Fault]:
    """Faults of one list."""
    if set(map(type, entries)) - {dict}:
        where = tuple(i for i, entry in enumerate(entries) if not isinstance(entry, dict))
        yield Fault(
            f'{path} is not in COCO format: entry {where[0]} of {name!r} is {shown(entries[where[0]])!r}, but has to '
            f'be an object with {", ".join(map(repr, needed))}{_more(where)}; correct it or take it out.',
            name,
            where,
        )
        entries = [entry if isinstance(entry, dict) else None for entry in entries]
    for key, kind in {**needed, **OPTIONAL.get(name, {})}.items():
        values = column(entries, key)
        types = set(map(type, values))
        if key in needed and _Absent in types:
            where = tuple(i for i, value in enumerate(values) if value is ABSENT and entries[i] is not None)
            if where:
                yield Fault(
                    f'{path} is not in COCO format: entry {where[0]} of {name!r} has no {key!r}{_more(where)}; add it.',
                    name,
                    where,
                )
        if kind == 'box':
            values, where = _boxes(values)
        else:
            where = tuple(_bad_values(values, kind, types))
        columns[name, key] = values
        if where:
            yield _fault_of_field(path, entries[where[0]][key], name, key, kind, where)


def column(entries: list, key: str) -> list:
    """The values of a field, :data:`ABSENT` where an entry has none or is no object."""
    try:
        return list(map(itemgetter(key), entries))
    except (KeyError, TypeError):
        return [ABSENT if entry is None else entry.get(key, ABSENT) for entry in entries]


def _fault_of_field(path, value, name: str, key: str, kind: str, where: tuple[int, ...]) -> Fault:
    """The sentence on values that are not of their kind."""
    if kind == 'box':
        said = f'the bbox of entry {where[0]} of {name!r} is {shown(value)}, but has to be [x, y, width, height]'
    else:
        said = f'{key!r} of entry {where[0]} of {name!r} is {shown(value)!r}, but has to be {SAID[kind]}'
    return Fault(f'{path}: {said}{_more(where)}; correct it or take the entry out.', name, where)


class _Absent:
    """Stands for what an entry does not have."""


ABSENT = _Absent()


def _bad_values(values: list, kind: str, types: set) -> Iterator[int]:
    """Positions of values that are not of a kind."""
    allowed = TYPES[kind]
    if types <= allowed:
        if kind in ('text', 'id') and types <= {int, str} and (str not in types or '' not in values):
            return
        if kind in ('size', 'number', 'flag') and types <= {int} and _in_range(values, kind):
            return
        if kind == 'number' and types <= {float}:
            return
    for position, value in enumerate(values):
        if value is ABSENT or (kind == 'flag' and value is None):
            continue
        if type(value) not in allowed or not _FITS[kind](value):
            yield position


def _in_range(values: list, kind: str) -> bool:
    """Whether whole numbers can all be of a kind."""
    return not values or (min(values) >= (1 if kind == 'size' else -LARGEST) and max(values) < LARGEST)


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


def _boxes(values: list) -> tuple[list, tuple[int, ...]]:
    """The numbers of all boxes, and positions of what is no list of four numbers; with any, there are no numbers."""
    if set(map(type, values)) <= {list} and set(map(len, values)) <= {4}:
        numbers = list(chain.from_iterable(values))
        types = set(map(type, numbers))
        if types <= {float} or (types <= {int, float} and max(numbers) < LARGEST and min(numbers) >= -LARGEST):
            return numbers, ()
    where = tuple(position for position, box in enumerate(values) if box is not ABSENT and not _is_box(box))
    return [] if where else list(chain.from_iterable(box for box in values if box is not ABSENT)), where


def _is_box(box) -> bool:
    return type(box) is list and len(box) == 4 and all(type(side) in (int, float) and _is_small(side) for side in box)


def shown(value) -> str:
    """The beginning of a value, as a sentence shows it."""
    try:
        text = str(value)
    except (ValueError, RecursionError):  # a whole number of thousands of digits, or lists a thousand deep
        text = f'a {type(value).__name__}'
    return text[:40]


def _more(where: Sequence[int]) -> str:
    return f' ({len(where)} such entries)' if len(where) > 1 else ''
