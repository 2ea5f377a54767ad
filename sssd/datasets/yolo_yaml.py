"""The ``data.yaml`` of YOLO, as Ultralytics and Roboflow write it: where images are, and the names of the classes."""

import os
import re
from pathlib import Path

import yaml

from sssd.datasets.forms import read_text
from sssd.errors import UserError

SUFFIXES = ('.yaml', '.yml')
#: Bytes; the names of ten thousand classes take 0.2 MB.
MAX_BYTES = 2_000_000
MAX_DEPTH = 20
_HAS_NAMES = re.compile(r'^["\']?names["\']?\s*:', re.MULTILINE)


def yaml_of(path: Path) -> Path | None:
    """The YAML file of a folder that names a data set; None if there is none.

    Raises:
        UserError: If there are several.
    """
    files = [file for file in sorted(path.iterdir()) if file.suffix.lower() in SUFFIXES and file.is_file()]
    named = [file for file in files if file.stem.lower() in ('data', 'dataset')]
    named = named or [
        file for file in files if _HAS_NAMES.search(file.read_bytes()[:MAX_BYTES].decode(errors='replace'))
    ]
    if len(named) > 1:
        told = ', '.join(file.name for file in named[:4])
        raise UserError(f'{path} has several YAML files ({told}): name the one of the data set.')
    return named[0] if named else None


def read_yaml(path: Path) -> dict:
    """The content of a YAML file, all of it as text, lists and dicts.

    Raises:
        UserError: Naming file and line, if it is no YAML, has no keys, is too large or refers to its own parts.
    """
    if path.is_file() and path.stat().st_size > MAX_BYTES:
        raise UserError(f'{path} is larger than any list of classes ({MAX_BYTES // 1_000_000} MB): check the path.')
    text = read_text(path)
    try:
        _refuse_bombs(path, text)
        content = yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, 'problem_mark', None)
        line = f', line {mark.line + 1}' if mark is not None else ''
        problem = getattr(error, 'problem', None) or 'it has control characters'
        raise UserError(f'{path}{line}: it is no YAML ({problem}): correct it.') from error
    if not isinstance(content, dict):
        raise UserError(f'{path} {"is empty" if not text.strip() else "has no keys"}: give it train:, val: and names:.')
    return content


def _refuse_bombs(path: Path, text: str) -> None:
    """Refuse references, a few of which can stand for billions of entries, and endless nesting."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.BaseLoader):
        where = f'{path}, line {event.start_mark.line + 1}'
        if isinstance(event, yaml.AliasEvent):
            raise UserError(f'{where}: *{event.anchor} refers to another part: write it out.')
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise UserError(f'{where}: its parts are nested too deep for a data set: correct it.')


def names_of(path: Path, content: dict) -> list[str]:
    """Names of the classes in the order of their numbers."""
    names = content.get('names')
    if isinstance(names, dict):
        try:
            numbered = {int(number): name for number, name in names.items()}
        except ValueError:
            raise UserError(
                f'{path}: a key of names: is no number: write 0: to {len(names) - 1}:, or a list.'
            ) from None
        if sorted(numbered) != list(range(len(names))):
            raise UserError(
                f'{path}: names: has the numbers {sorted(numbered)[:6]}..., but must have 0, 1, 2 and so on.'
            )
        names = [numbered[number] for number in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise UserError(f'{path} has no names: of the classes, or one of them is no text: give a list of them.')
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UserError(f'{path} has several classes called {twice[0]!r}: give each a name of its own.')
    if content.get('nc', str(len(names))) != str(len(names)):
        raise UserError(f'{path} says nc: {content["nc"]}, but has {len(names)} names: correct one of them.')
    return names


def root_of(path: Path, content: dict) -> Path:
    """The folder that the others are relative to: ``path:``, from the file's own folder or the present one.

    Exports often name a folder of the machine that they were made on; if it is not here, the file's own is taken.
    """
    here, told = path.parent, content.get('path')
    if not isinstance(told, str) or not told:
        return here
    return next((place for place in (here / told, Path(told)) if os.path.isdir(place)), here)
