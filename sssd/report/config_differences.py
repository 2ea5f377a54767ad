"""Where configs differ, key by key; and a run's config from what it is based on."""

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mmengine.config import Config

from sssd.places import read_base

#: In a work directory: the rows in which its config differs from its base.
NAME = 'config_differences.json'
#: Keys that a call of a command sets, whatever the config.
OF_A_CALL = ('work_dir', 'launcher', 'resume')
MISSING = object()


def keep_base_differences(config: Config, path: str | Path) -> None:
    """Keep in the work directory where a config differs from the files in its ``_base_``; nothing if it has none.

    Args:
        config: What is trained, with the options of the command.
        path: The config file that the user named.
    """
    base = read_base(path)
    if base is not None:
        out = Path(config.work_dir) / NAME
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(config_differences(dict(base=base, here=config)), indent=1) + '\n')


def base_differences(work_dir: str | Path) -> list[list[str | None]] | None:
    """What :func:`keep_base_differences` kept: key, value in the base, value here; None if it kept nothing."""
    path = Path(work_dir) / NAME
    return json.loads(path.read_text()) if path.is_file() else None


def config_differences(configs: Mapping[str, Config]) -> list[list[str | None]]:
    """Every key in which the configs differ, and its value in each, but for what a call of a command sets.

    A part that one of them lacks, or that is of another type there, is one row.
    """
    nodes = [
        {key: value for key, value in config.to_dict().items() if key not in OF_A_CALL} for config in configs.values()
    ]
    return sorted([key, *map(_told, values)] for key, values in _differences(nodes))


def _differences(nodes: Sequence, key: str = '') -> Iterator[tuple[str, Sequence]]:
    """The smallest parts in which nested configs differ, with their dotted keys."""
    first = nodes[0]
    if all(node == first for node in nodes):
        return
    if all(isinstance(node, (list, tuple)) for node in nodes):
        nodes = [dict(enumerate(node)) for node in nodes]
    if not all(isinstance(node, dict) for node in nodes) or any(
        node.get('type') != nodes[0].get('type') for node in nodes
    ):
        yield key, nodes
        return
    for name in dict.fromkeys(name for node in nodes for name in node):
        yield from _differences([node.get(name, MISSING) for node in nodes], f'{key}.{name}' if key else str(name))


def _told(value) -> str | None:
    """A value in few words, its type first; None where there is none."""
    if value is MISSING:
        return None
    if isinstance(value, dict) and 'type' in value:
        value = dict(type=value['type'], **{key: item for key, item in value.items() if key != 'type'})
    return textwrap.shorten(repr(value), 80)
