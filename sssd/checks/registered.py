"""What is registered, in MMEngine's registries and their children: names, and the arguments of classes."""

import mmengine.registry as registries
from mmengine.registry import Registry


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
