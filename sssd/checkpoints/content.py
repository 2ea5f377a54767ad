"""What a file is and what is in it, before it is taken for a checkpoint."""

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import torch

from sssd.errors import UserError, shorten

#: First bytes of files that stand where a checkpoint should, in lower case.
KINDS = {
    b'<!doctype html': 'a web page (HTML), as a browser or a proxy leaves it in place of a file',
    b'<html': 'a web page (HTML), as a browser or a proxy leaves it in place of a file',
    b'version https://git-lfs': 'a pointer of Git LFS, whose file `git lfs pull` fetches',
}
#: Parts of a checkpoint that are no weights.
OTHERS = ('optimizer', 'param_schedulers', 'message_hub', 'meta')
RESUMED = ('meta', 'message_hub', 'state_dict')


def kind_of_file(handle: BinaryIO) -> str | None:
    """What an open file is that is certainly no checkpoint; None for any other. It is at its beginning afterwards."""
    handle.seek(0)
    start = handle.read(256)
    handle.seek(0)
    if not start:
        return 'empty (0 bytes)'
    if not start.strip(b'\0'):
        return 'filled with zeros, as a crash of the machine leaves a file'
    text = start.lstrip().lower()
    return next((kind for first, kind in KINDS.items() if text.startswith(first)), None)


def tensors_of(checkpoint: Mapping) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights in a checkpoint of any make, with their keys: of its state dict, or of it and of the dicts in it."""
    state = checkpoint.get('state_dict', checkpoint)
    for key, value in state.items() if isinstance(state, Mapping) else ():
        if isinstance(value, torch.Tensor):
            yield key, value
        elif isinstance(value, Mapping) and key not in OTHERS:
            yield from ((f'{key}.{inner}', held) for inner, held in value.items() if isinstance(held, torch.Tensor))


def check_content(checkpoint: Any, name: str) -> None:
    """Refuse what a file holds if it is no checkpoint, or one of a training that has diverged.

    Args:
        checkpoint: What was read.
        name: The file, for the sentence.

    Raises:
        UserError: Naming the file and what is in it.
    """
    if not isinstance(checkpoint, Mapping):
        raise UserError(
            f'checkpoint {name} holds a {type(checkpoint).__name__} and no weights of a model: take another file.'
        )
    tensors = list(tensors_of(checkpoint))
    if not tensors:
        keys = shorten([str(key) for key in checkpoint])
        raise UserError(f'checkpoint {name} holds no weights of a model, but {keys}: take another file.')
    bad = [key for key, value in tensors if value.is_floating_point() and bool(value.isnan().any())]
    if bad:
        raise UserError(
            f'checkpoint {name} has NaN in {len(bad)} of {len(tensors)} tensors (first: {bad[0]}), the training that '
            'wrote it had diverged: take an earlier one.'
        )


def check_resumable(checkpoint: Mapping, name: str) -> None:
    """Refuse a checkpoint that holds weights but not where its training stood, its optimizer's memory included.

    Raises:
        UserError: Naming the file and what it lacks.
    """
    missing = [key for key in RESUMED if not isinstance(checkpoint.get(key), Mapping)]
    if not missing:
        missing = [f'meta.{key}' for key in ('epoch', 'iter') if key not in checkpoint['meta']]
    if missing:
        raise UserError(
            f'checkpoint {name} holds weights alone and not where a training stood ({", ".join(missing)} missing): '
            'begin with its weights by --cfg-options load_from=FILE, or go on from another with --resume.'
        )
    if not isinstance(checkpoint.get('optimizer'), Mapping):
        raise UserError(
            f'checkpoint {name} has no state of the optimizer, as those kept as the best ones and those of a '
            'CheckpointHook with save_optimizer=False: the learning rate would begin anew. Go on from an iter_N.pth or '
            'epoch_N.pth, or begin with its weights by --cfg-options load_from=FILE.'
        )
