"""Pretrained weights that a config names: all of them, and which cannot be had. Nothing is built."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sssd.checkpoints.pretrained import fetch, locate
from sssd.errors import UserError

#: Other keys of a model's parts by which they take weights: of old backbones, and of detectors that have a teacher.
OTHER_KEYS = ('pretrained', 'teacher_ckpt')


@dataclass(frozen=True)
class NamedWeights:
    """Weights as a config names them.

    Attributes:
        key: Where: ``model.detector.backbone.init_cfg``.
        name: A path or an address.
        option: What, as an option of the command line, leaves them out; None where that is no way to go on.
    """

    key: str
    name: str
    option: str | None = None

    def note(self, config: str) -> str:
        """Who names them, for a sentence."""
        return f', which {self.key} of {config} names,'

    @property
    def remedy(self) -> str:
        """What else can be done where they cannot be had, for a sentence."""
        return f', or begin with random weights by --cfg-options {self.option}' if self.option else ''


def named_weights(cfg: Mapping) -> list[NamedWeights]:
    """All pretrained weights that a config's model names, nested parts included, and ``load_from``."""
    found = list(_of_part('model', cfg.get('model') or {}))
    start = cfg.get('load_from')
    return [*found, NamedWeights('load_from', start)] if isinstance(start, str) and start else found


def missing_weights(cfg: Mapping, config: str) -> list[str]:
    """Sentences about weights that are not on this machine; the network is not asked.

    Args:
        cfg: The complete config.
        config: Its name, for the sentences.

    Raises:
        UserError: If an address is of no weights that are known.
    """
    told = {}
    for weights in named_weights(cfg):
        remote = locate(weights.name)
        if remote is None or remote.path.is_file():
            continue
        how = f'training downloads it from {remote.url}' if remote.url else 'no address is known for it'
        told.setdefault(
            weights.name,
            f'{weights.name}{weights.note(config)} is not at {remote.path}: {how}; where that cannot be, put the file '
            f'there by hand{weights.remedy}.',
        )
    return list(told.values())


def require_weights(cfg: Mapping, config: str, local: bool = True) -> None:
    """Have all weights that a config names on this machine: those with an address are downloaded if need be.

    Args:
        cfg: The complete config.
        config: Its name, for the sentences.
        local: Whether files without an address have to be there as well; a study may still make them.

    Raises:
        UserError: For the first that cannot be had, naming its key, its place and the remedy.
    """
    for weights in named_weights(cfg):
        path = fetch(weights.name, weights.note(config), weights.remedy)
        if (
            path is None
            and local
            and '://' not in weights.name
            and not os.path.isfile(os.path.expanduser(weights.name))
        ):
            raise UserError(
                f'{weights.name}{weights.note(config)} does not exist: put the file there, train first what writes it, '
                f'or name another{weights.remedy}.'
            )


def _of_part(key: str, part: Any) -> Iterator[NamedWeights]:
    """The weights that a part of a config names, with their keys."""
    if isinstance(part, (list, tuple)):
        for index, item in enumerate(part):
            yield from _of_part(f'{key}.{index}', item)
    elif isinstance(part, Mapping):
        name = part.get('checkpoint')
        bare = 'type' not in part and key.endswith('.init_cfg')  # of PVT, which reads the file itself
        if (bare or _is_pretrained(part.get('type'))) and isinstance(name, str):
            yield NamedWeights(key, name, f'{key}=None' if key.endswith('.init_cfg') else None)
        for inner, item in part.items():
            if inner in OTHER_KEYS and isinstance(item, str):
                yield NamedWeights(f'{key}.{inner}', item, f'{key}.{inner}=None' if inner == 'pretrained' else None)
            else:
                yield from _of_part(f'{key}.{inner}', item)


def _is_pretrained(kind: Any) -> bool:
    """Whether a ``type`` is MMEngine's initialisation from a file, by its name or as a class."""
    name = kind.split('.')[-1] if isinstance(kind, str) else getattr(kind, '__name__', '')
    return name in ('Pretrained', 'PretrainedInit')
