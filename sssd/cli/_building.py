"""Unknown types and arguments of a config, which a registry meets while it builds, in one sentence."""

import re
from contextlib import contextmanager
from difflib import get_close_matches

import mmengine.registry as registries
from mmengine.registry import Registry

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


def known_types() -> list[str]:
    """Names of all that is registered, in every registry of MMEngine and its children."""
    return sorted({name for root in vars(registries).values() if isinstance(root, Registry) for name in names(root)})


def names(registry: Registry) -> set[str]:
    """Names in a registry and its children."""
    return set(registry.module_dict).union(*(names(child) for child in registry.children.values()))


def arguments_of(owner: str) -> list[str]:
    """Arguments of a registered class, those of its bases as well."""
    for root in vars(registries).values():
        found = find(root, owner) if isinstance(root, Registry) else None
        if found is not None:
            codes = [getattr(cls.__init__, '__code__', None) for cls in getattr(found, '__mro__', ())]
            return sorted(
                {
                    name
                    for code in codes
                    if code
                    for name in code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
                }
            )
    return []


def find(registry: Registry, name: str):
    """A class by its name in a registry or its children."""
    if name in registry.module_dict:
        return registry.module_dict[name]
    return next((found for child in registry.children.values() if (found := find(child, name)) is not None), None)
