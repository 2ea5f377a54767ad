"""Where configs differ, key by key; and a run's config from what it is based on."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from mmengine.config import Config

from sssd.places import read_base

#: In a work directory: the rows in which its config differs from its base.
NAME = 'config_differences.json'
#: Keys that a call of a command sets, whatever the config.
OF_A_CALL = ('work_dir', 'launcher', 'resume')


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
    """Every key in which the configs differ, and its value in each, but for what a call of a command sets."""
    flat = {name: dict(leaves(config.to_dict())) for name, config in configs.items()}
    keys = sorted({key for one in flat.values() for key in one if key.split('.')[0] not in OF_A_CALL})
    rows = []
    for key in keys:
        values = [repr(one[key]) if key in one else None for one in flat.values()]
        if len(set(values)) > 1:
            rows.append([key, *(value and textwrap.shorten(value, 80) for value in values)])
    return rows


def leaves(node, key: str = '') -> Iterator[tuple[str, object]]:
    """The values of a nested config with their dotted keys."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, (list, tuple)) else None
    if not items:
        yield key, node
        return
    for name, value in items:
        yield from leaves(value, f'{key}.{name}' if key else str(name))
