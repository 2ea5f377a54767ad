"""Unknown types and arguments of a config, which a registry meets while it builds, in one sentence."""

import re
from contextlib import contextmanager
from difflib import get_close_matches

from sssd.checks.registered import arguments_of, known_types
from sssd.errors import UserError

UNKNOWN_TYPE = re.compile(r"'?([\w.]+) is not in the (?:[\w-]+::)?([\w ]+?) registry")
UNKNOWN_ARGUMENT = re.compile(
    r"(?:class `(\w+)`|(\w+)\.__init__).*got an unexpected keyword argument '(\w+)'", re.DOTALL
)
MISSING_ARGUMENT = re.compile(
    r'(?:class `(\w+)`|(\w+)\.__init__).*missing \d+ required .*?arguments?: (.+?)(?:\"|$)', re.DOTALL
)


@contextmanager
def unknown_names_explained(config: str):
    """Turn what MMEngine's registries raise of unknown types, and classes of arguments, into a :class:`UserError`.

    Args:
        config: The config's name.
    """
    try:
        yield
    except (KeyError, TypeError) as error:
        sentence = sentence_of(str(error))
        if sentence is None:
            raise
        raise UserError(f'{config}: {sentence}') from error


def sentence_of(text: str) -> str | None:
    """A sentence on an error's text; None if it is another error."""
    found = UNKNOWN_TYPE.search(text)
    if found:
        name, kind = found.groups()
        near = get_close_matches(name.rpartition('.')[2], known_types(), n=1, cutoff=0.7)
        hint = f': is it {near[0]!r}' if near else ''
        return f"there is no {kind} of the type {name!r}{hint}? What is not mmdet's own needs its custom_imports."
    found = UNKNOWN_ARGUMENT.search(text)
    if found:
        owner, key = found[1] or found[2], found[3]
        near = get_close_matches(key, arguments_of(owner), n=1, cutoff=0.6)
        return f'{owner} has no argument {key!r}: ' + (f'write {near[0]!r}.' if near else 'take it out.')
    if 'must contain the key "type"' in text:
        part = re.search(r'but got (.{1,120})', text)
        return f'a part that is to be built has no type ({part[1] if part else ""} ...): add it.'
    found = MISSING_ARGUMENT.search(text)
    return found and f'{found[1] or found[2]} needs {found[3].strip()}: add it to its dict.'
